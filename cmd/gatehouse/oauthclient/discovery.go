package oauthclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Metadata are the members of RFC 8414 §2 that the commands use.
type Metadata struct {
	Issuer                string   `json:"issuer"`
	TokenEndpoint         string   `json:"token_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
}

// Discover fetches the metadata of an issuer from the addresses of RFC 8414
// §3.1 and OpenID Connect Discovery §4, in that order, and checks that it is
// the issuer's own (RFC 8414 §3.3, byte for byte).
func Discover(ctx context.Context, issuer string) (Metadata, error) {
	u, err := parseSafe(issuer)
	if err != nil {
		return Metadata{}, fmt.Errorf("issuer %q %w", issuer, err)
	}
	for _, address := range metadataURLs(u) {
		var m Metadata
		err := getJSON(ctx, address, &m)
		switch {
		case errors.Is(err, errNotThere):
			continue
		case err != nil:
			return Metadata{}, err
		case m.Issuer != issuer:
			return Metadata{}, fmt.Errorf("%s says it is the issuer %q, not %q; use the issuer's exact name", address, m.Issuer, issuer)
		}
		return m, nil
	}
	return Metadata{}, fmt.Errorf("%s publishes no authorization server metadata; check the issuer", issuer)
}

func metadataURLs(u *url.URL) []string {
	origin := u.Scheme + "://" + u.Host
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	urls := []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + "/.well-known/openid-configuration" + path,
	}
	if path != "" {
		urls = append(urls, origin+path+"/.well-known/openid-configuration")
	}
	return urls
}

// Resource are the members of RFC 9728 §2 that the commands use.
type Resource struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
}

// DiscoverResource fetches the metadata of a protected resource: from hint,
// the resource_metadata of a challenge, when there is one, else from the
// addresses of RFC 9728 §3.1. It must be the resource's own (§3.3).
func DiscoverResource(ctx context.Context, resource, hint string) (Resource, error) {
	u, err := parseSafe(resource)
	if err != nil {
		return Resource{}, fmt.Errorf("resource %q %w", resource, err)
	}
	origin := u.Scheme + "://" + u.Host
	urls := []string{hint}
	if hint == "" {
		urls = []string{origin + "/.well-known/oauth-protected-resource" + u.EscapedPath(), origin + "/.well-known/oauth-protected-resource"}
	} else if _, err := parseSafe(hint); err != nil {
		return Resource{}, fmt.Errorf("resource_metadata %q %w", hint, err)
	}
	for _, address := range urls {
		var m Resource
		err := getJSON(ctx, address, &m)
		switch {
		case errors.Is(err, errNotThere):
			continue
		case err != nil:
			return Resource{}, err
		case strings.TrimSuffix(m.Resource, "/") != strings.TrimSuffix(resource, "/"):
			return Resource{}, fmt.Errorf("%s describes %q, not %q; use the resource's exact name", address, m.Resource, resource)
		case len(m.AuthorizationServers) == 0:
			return Resource{}, fmt.Errorf("%s names no authorization server", address)
		}
		return m, nil
	}
	return Resource{}, fmt.Errorf("%s publishes no protected resource metadata; check the URL", resource)
}

// parseSafe accepts https, and http to this machine.
func parseSafe(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("is not an absolute URL")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && loopback {
		return u, nil
	}
	return nil, errors.New("must be https, or http on this machine")
}

// errNotThere says that another address may be tried.
var errNotThere = errors.New("not there")

func getJSON(ctx context.Context, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	status, body, err := exchange(r)
	switch {
	case err != nil:
		return err
	case status >= 400 && status < 500:
		return errNotThere
	case status != http.StatusOK:
		return fmt.Errorf("%s answers %d", address, status)
	}
	return decodeJSON(address, body, into)
}
