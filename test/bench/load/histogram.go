package load

import (
	"math/bits"
	"time"
)

// steps is how finely each doubling of a duration is divided: an answer of
// [Histogram.Quantile] is at most 1/steps too high.
const steps = 32

// Histogram counts durations in buckets whose width grows with the duration.
// The zero value is empty. It is for one goroutine.
type Histogram struct {
	count   int
	buckets [64 * steps]int
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	h.count++
	h.buckets[bucket(max(d, 0))]++
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	h.count += other.count
	for i, n := range &other.buckets {
		h.buckets[i] += n
	}
}

// Count is how many durations were added.
func (h *Histogram) Count() int { return h.count }

// Quantile returns the upper edge of the bucket that holds the q-th part of
// the durations, 0 < q ≤ 1; zero when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := q*float64(h.count), 0
	for i, n := range &h.buckets {
		if seen += n; n > 0 && float64(seen) >= rank {
			return edge(i)
		}
	}
	return 0
}

// bucket returns the index for d: exact below steps nanoseconds, then the
// position of the highest bit and the bits that follow it.
func bucket(d time.Duration) int {
	n := uint64(d)
	if n < steps {
		return int(n)
	}
	shift := bits.Len64(n) - bits.Len(steps)
	return shift*steps + int(n>>shift)
}

// edge is the highest duration that belongs to a bucket.
func edge(i int) time.Duration {
	if i < 2*steps {
		return time.Duration(i)
	}
	shift := i/steps - 1
	return time.Duration((i-shift*steps+1)<<shift - 1)
}
