package authserver

import (
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	quotaAddresses = 100_000
	lately         = time.Minute
	latelySize     = 10_000
)

// registrationQuota bounds how many clients an address may register. The same
// public client once more costs nothing: it makes no row, and within a minute
// not even a write.
type registrationQuota struct {
	perHour  int
	limiters *otter.Cache[string, *rate.Limiter]         // by address
	known    *otter.Cache[string, dated[storage.Client]] // by fingerprint
}

func newRegistrationQuota(perHour int) *registrationQuota {
	return &registrationQuota{
		perHour:  max(perHour, 1),
		limiters: otter.Must(&otter.Options[string, *rate.Limiter]{MaximumSize: quotaAddresses}),
		known:    otter.Must(&otter.Options[string, dated[storage.Client]]{MaximumSize: latelySize}),
	}
}

// charge takes one registration of the address' hour and returns zero, or how
// long it has to wait for the next.
func (q *registrationQuota) charge(address string, now time.Time) time.Duration {
	fresh := rate.NewLimiter(rate.Every(time.Hour/time.Duration(q.perHour)), q.perHour)
	limiter, _ := q.limiters.SetIfAbsent(address, fresh)
	reservation := limiter.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// remember keeps a client that others may register again.
func (q *registrationQuota) remember(c storage.Client) {
	if c.Fingerprint != nil {
		q.known.Set(string(c.Fingerprint), dated[storage.Client]{c, time.Now()})
	}
}
