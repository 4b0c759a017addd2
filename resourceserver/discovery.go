package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
)

// metadata is what this server needs of the issuer's metadata (RFC 8414 §2).
type metadata struct {
	Issuer                string `json:"issuer"`
	JWKSURI               string `json:"jwks_uri"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	EventsEndpoint        string `json:"gatehouse_events_endpoint"`
}

// discovery finds the issuer's endpoints. What is configured is not asked for.
type discovery struct {
	client  *issuerClient
	issuer  string
	given   metadata
	needed  bool // something is to be discovered
	current atomic.Pointer[metadata]
}

func newDiscovery(client *issuerClient, cfg Config) *discovery {
	d := &discovery{client: client, issuer: cfg.Issuer}
	d.given = metadata{Issuer: cfg.Issuer, JWKSURI: cfg.JWKSURI}
	d.needed = cfg.JWKSURI == ""
	if own := cfg.Introspection; own != nil {
		d.given.IntrospectionEndpoint, d.given.EventsEndpoint = own.Endpoint, own.EventsEndpoint
		d.needed = d.needed || own.Endpoint == ""
	}
	if !d.needed {
		d.current.Store(d.complete(metadata{}))
	}
	return d
}

var errNotDiscovered = errors.New("the issuer's metadata is not known yet")

// endpoints returns what is known, without asking.
func (d *discovery) endpoints() (*metadata, error) {
	if m := d.current.Load(); m != nil {
		return m, nil
	}
	return nil, errNotDiscovered
}

// load fetches the metadata (RFC 8414 §3, OpenID Connect Discovery §4). What
// was known stays in force when that fails.
func (d *discovery) load(ctx context.Context) error {
	if !d.needed {
		return nil
	}
	var failures error
	for _, location := range wellKnown(d.issuer) {
		var m metadata
		err := d.client.get(ctx, location, &m)
		if err == nil {
			err = d.check(m)
		}
		if err == nil {
			d.current.Store(d.complete(m))
			return nil
		}
		failures = errors.Join(failures, fmt.Errorf("%s: %w", location, err))
	}
	return failures
}

// check refuses metadata of another issuer (RFC 8414 §3.3) and endpoints that
// do not have the issuer's transport security.
func (d *discovery) check(m metadata) error {
	if m.Issuer != d.issuer {
		return fmt.Errorf("the metadata is of issuer %q", m.Issuer)
	}
	if m.JWKSURI == "" && d.given.JWKSURI == "" {
		return errors.New("the metadata has no jwks_uri")
	}
	for _, endpoint := range []string{m.JWKSURI, m.IntrospectionEndpoint, m.EventsEndpoint} {
		if endpoint == "" {
			continue
		}
		if err := checkURL(endpoint); err != nil {
			return fmt.Errorf("endpoint %q: %w", endpoint, err)
		}
		if strings.HasPrefix(d.issuer, "https:") && !strings.HasPrefix(endpoint, "https:") {
			return fmt.Errorf("endpoint %q: must be https like the issuer", endpoint)
		}
	}
	return nil
}

// complete prefers what is configured over what was discovered.
func (d *discovery) complete(m metadata) *metadata {
	prefer(&m.JWKSURI, d.given.JWKSURI)
	prefer(&m.IntrospectionEndpoint, d.given.IntrospectionEndpoint)
	prefer(&m.EventsEndpoint, d.given.EventsEndpoint)
	setDefault(&m.EventsEndpoint, strings.TrimSuffix(d.issuer, "/")+"/oauth/events")
	return &m
}

func prefer(field *string, value string) {
	if value != "" {
		*field = value
	}
}

// wellKnown returns where the metadata of an issuer can be: the path-inserted
// forms, the path-appended ones, OAuth before OpenID.
func wellKnown(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil // the configuration was checked
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	const oauth, openid = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	if path == "" {
		return []string{origin + oauth, origin + openid}
	}
	return []string{origin + oauth + path, origin + openid + path, origin + path + openid, origin + path + oauth}
}
