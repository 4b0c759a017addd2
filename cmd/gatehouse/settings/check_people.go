package settings

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

func (l Login) check(c *checker) {
	c.between("login.session_lifetime", l.SessionLifetime, time.Minute, 30*24*time.Hour)
	if !l.Passwords && len(l.Upstreams) == 0 {
		c.fail("login.passwords", "is off and there are no upstreams, so that nobody new could sign in")
	}
	seen := map[string]bool{}
	for i, u := range l.Upstreams {
		key := fmt.Sprintf("login.upstreams[%d]", i)
		if seen[u.ID] {
			c.fail(key+".id", "stands here twice")
		}
		seen[u.ID] = true
		u.check(c, key)
	}
}

func (u Upstream) check(c *checker, key string) {
	if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(u.ID) {
		c.fail(key+".id", "must have lower-case letters, digits and hyphens, as in google")
	}
	c.require(CheckURL(strings.TrimSuffix(u.Issuer, "/")), key+".issuer") // some issuers end in a slash
	for name, value := range map[string]string{"name": u.Name, "client_id": u.ClientID} {
		if value == "" {
			c.fail(key+"."+name, "is required")
		}
	}
}

func (r Registration) check(c *checker) {
	c.between("registration.dcr.unused_lifetime", r.DCR.UnusedLifetime, time.Minute, 365*24*time.Hour)
	if r.DCR.PerAddress < 1 {
		c.fail("registration.dcr.per_address", "must be at least 1; use enabled: false to refuse all")
	}
	if r.DCR.RequireInitialAccessToken && r.DCR.InitialAccessTokenFile == "" {
		c.fail("registration.dcr.require_initial_access_token", "needs initial_access_token_file")
	}
	for _, list := range []struct {
		key   string
		hosts []string
	}{{"allowed_hosts", r.CIMD.AllowedHosts}, {"denied_hosts", r.CIMD.DeniedHosts}} {
		for i, host := range list.hosts {
			if strings.Trim(host, ".") == "" || strings.ContainsAny(host, "/:* ") {
				c.fail(fmt.Sprintf("registration.cimd.%s[%d]", list.key, i), "%q is not a host name such as example.com, or .example.com for all below it", host)
			}
		}
	}
}

// maxRate of a limit is as good as none, and far from what overflows.
const maxRate = 1_000_000

func (l RateLimits) check(c *checker) {
	for key, limit := range map[string]int{"requests_per_minute": l.RequestsPerMinute, "documents_per_hour": l.DocumentsPerHour} {
		if limit < 1 || limit > maxRate {
			c.fail("rate_limits."+key, "must be between 1 and %d", maxRate)
		}
	}
}

func (b Brand) check(c *checker) {
	if b.Accent != "" && !regexp.MustCompile(`^#[0-9a-fA-F]{6}$`).MatchString(b.Accent) {
		c.fail("brand.accent", "%q is not a colour such as \"#1f5c4d\"", b.Accent)
	}
}
