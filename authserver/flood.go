package authserver

import (
	"errors"
	"net/http"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// quotaAddresses is how many addresses a quota remembers; one that is forgotten
// starts anew.
const quotaAddresses = 100_000

// addressQuota bounds what anybody may do from one address. Each replica counts
// for itself.
type addressQuota struct {
	rate     rate.Limit
	burst    int
	limiters *otter.Cache[string, *rate.Limiter] // by address
}

// newAddressQuota allows n in each period, and burst at once.
func newAddressQuota(n int, period time.Duration, burst int) *addressQuota {
	return &addressQuota{
		rate: rate.Limit(float64(max(n, 1)) / period.Seconds()), burst: max(burst, 1),
		limiters: otter.Must(&otter.Options[string, *rate.Limiter]{MaximumSize: quotaAddresses}),
	}
}

// charge takes one from the quota of address and returns zero, or how long it
// has to wait for the next and takes nothing.
func (q *addressQuota) charge(address string, now time.Time) time.Duration {
	limiter, _ := q.limiters.SetIfAbsent(address, rate.NewLimiter(q.rate, q.burst))
	reservation := limiter.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// tooMany refuses what a quota has no room for during wait.
func tooMany(wait time.Duration, quota, description string) *oauthError {
	return &oauthError{
		status: http.StatusTooManyRequests, code: codeUnavailable, wait: wait,
		description: description, cause: errors.New(quota + " quota"),
	}
}

// newRequestQuota is that of requests that leave something in the store
// before anybody has proven who they are. An office behind one address may begin
// its day all at once.
func newRequestQuota(limits RateLimits) *addressQuota {
	return newAddressQuota(limits.RequestsPerMinute, time.Minute, 2*limits.RequestsPerMinute)
}

// admit charges a stranger's request, or refuses it before it costs anything.
func (s *Server) admit(r *http.Request, entry *logEntry) error {
	if wait := s.requests.charge(remoteAddress(r), entry.start); wait > 0 {
		return tooMany(wait, "request", "Too many requests came from this address. Try again later.")
	}
	return nil
}

// admitClient is admit for what a client sends by itself. Only one that the
// operator knows, and that has proven to be it, is no stranger: everybody can
// register one that has a secret.
func (s *Server) admitClient(r *http.Request, entry *logEntry, c *client) error {
	if c.Registration == storage.RegisteredByOperator && !c.IsPublic() {
		return nil
	}
	return s.admit(r, entry)
}
