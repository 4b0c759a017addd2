package main

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"

	"github.com/gatehouse-mcp/gatehouse/cmd/gatehouse/settings"
)

// runtimeFloor is the least heap goal at GOGC=100; it grows with GOGC.
const runtimeFloor = 4 << 20

// tuneMemory gives the heap a floor: below it the garbage collector rests,
// above it the heap may double as usual. The live heap is a few MiB, so Go's
// default would collect all the time. What GOGC and GOMEMLIMIT say stands; a
// container's limit becomes the soft limit, less a tenth for what is not heap.
func tuneMemory(floor settings.Bytes, getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		if limit := containerLimit(os.ReadFile); limit > 0 {
			debug.SetMemoryLimit(limit / 10 * 9)
			floor = min(floor, settings.Bytes(limit/2))
		}
	}
	if getenv("GOGC") == "" && floor > runtimeFloor {
		(&heapFloor{int64(floor)}).hold()
	}
}

// heapFloor adapts the GC percentage after every collection.
type heapFloor struct{ floor int64 }

func (h *heapFloor) hold() {
	debug.SetGCPercent(h.percent(liveHeap()))
	// The sentinel is unreachable at once, so its cleanup runs after the next
	// collection, which is when the live heap is known anew.
	sentinel := new([64]byte)
	runtime.AddCleanup(sentinel, func(h *heapFloor) { h.hold() }, h)
}

// percent makes the next heap goal max(floor, 2*live).
func (h *heapFloor) percent(live int64) int {
	most := h.floor * 100 / runtimeFloor
	if live > 0 {
		most = min(most, h.floor*100/live-100)
	}
	return int(max(100, most))
}

func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(min(sample[0].Value.Uint64(), math.MaxInt64))
}

// containerLimit returns the memory limit of the control group (v2, else v1),
// or 0 when there is none.
func containerLimit(readFile func(string) ([]byte, error)) int64 {
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := readFile(path)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
		if err != nil || limit >= 1<<50 { // "max", or v1's way to say so
			return 0
		}
		return limit
	}
	return 0
}
