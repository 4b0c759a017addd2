package authserver

import (
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	lately     = time.Minute
	latelySize = 10_000
)

// registrationQuota bounds how many clients an address may register in an hour.
// The same public client once more costs nothing: it makes no row, and within a
// minute not even a write.
type registrationQuota struct {
	*addressQuota
	known *otter.Cache[string, dated[storage.Client]] // by fingerprint
}

func newRegistrationQuota(perHour int) *registrationQuota {
	return &registrationQuota{
		addressQuota: newAddressQuota(perHour, time.Hour, perHour),
		known:        otter.Must(&otter.Options[string, dated[storage.Client]]{MaximumSize: latelySize}),
	}
}

// remember keeps a client that others may register again.
func (q *registrationQuota) remember(c storage.Client) {
	if c.Fingerprint != nil {
		q.known.Set(string(c.Fingerprint), dated[storage.Client]{c, time.Now()})
	}
}
