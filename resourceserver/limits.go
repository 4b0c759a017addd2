package resourceserver

import (
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// limitedKeys is how many keys a limit remembers; one that is forgotten starts
// anew.
const limitedKeys = 100_000

// limit bounds the requests of each key. Nil is no limit.
type limit[K comparable] struct {
	perSecond rate.Limit
	burst     int
	limiters  *otter.Cache[K, *rate.Limiter]
}

// newLimit allows that many requests in a minute and a tenth of them at once;
// a negative number is no limit.
func newLimit[K comparable](perMinute int) (*limit[K], error) {
	if perMinute < 0 {
		return nil, nil
	}
	limiters, err := otter.New(&otter.Options[K, *rate.Limiter]{MaximumSize: limitedKeys})
	if err != nil {
		return nil, err
	}
	return &limit[K]{rate.Limit(float64(perMinute) / time.Minute.Seconds()), max(perMinute/10, 1), limiters}, nil
}

// charge counts a request of key. It returns zero, or how long the key has to
// wait until it has room for one more, and counts nothing.
func (l *limit[K]) charge(key K, now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	limiter, found := l.limiters.GetIfPresent(key)
	if !found {
		limiter, _ = l.limiters.SetIfAbsent(key, rate.NewLimiter(l.perSecond, l.burst))
	}
	if limiter.AllowN(now, 1) {
		return 0
	}
	lacks := 1 - limiter.TokensAt(now)
	return max(time.Duration(lacks/float64(l.perSecond)*float64(time.Second)), 1)
}

// neighbourhood is what one customer of a provider has at least: an IPv4
// address, or an IPv6 /64.
func neighbourhood(client netip.Addr) netip.Addr {
	if !client.Is6() {
		return client
	}
	network, _ := client.Prefix(64) // fails for no IPv6 address
	return network.Addr()
}
