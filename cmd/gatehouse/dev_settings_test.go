package main

import (
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver"
)

// gatehouse dev raises every limit per address a hundredfold.
func TestDev_RaisesLimits(t *testing.T) {
	t.Parallel()
	usual, raised := devSettings(), devSettings()
	weaken(&raised)
	var cfg authserver.Config
	if err := peopleConfig(raised, &cfg); err != nil {
		t.Fatal(err)
	}
	want := authserver.RateLimits{
		RequestsPerMinute: 100 * usual.RateLimits.RequestsPerMinute, DocumentsPerHour: 100 * usual.RateLimits.DocumentsPerHour,
	}
	if cfg.RateLimits != want || want.RequestsPerMinute != 6000 || cfg.Registration.Dynamic.PerAddress != 100*usual.Registration.DCR.PerAddress {
		t.Errorf("%+v, %+v", cfg.RateLimits, cfg.Registration.Dynamic)
	}
	for _, s := range []struct{ usual, raised int }{
		{usual.ResourceServer.RateLimits.PerAddress, raised.ResourceServer.RateLimits.PerAddress},
		{usual.ResourceServer.RateLimits.PerPrincipal, raised.ResourceServer.RateLimits.PerPrincipal},
	} {
		if s.raised != 100*s.usual || s.usual != 6000 {
			t.Errorf("%d became %d", s.usual, s.raised)
		}
	}
	if !raised.ResourceServer.LocalhostOnly {
		t.Error("dev lets others connect")
	}
}
