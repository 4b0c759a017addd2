package authserver

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// resource is a configured [Resource] prepared for use.
type resource struct {
	Resource
	canonical string
	scopes    scopes.Set // expanded; empty means all
}

// target is the one resource a token is for.
type target struct {
	*resource
	// audience is the identifier in the form the client used: clients compare
	// byte for byte, and some add a root slash.
	audience string
}

// meaningful returns those of the scopes that make sense at the resource.
func (t target) meaningful(asked scopes.Set) scopes.Set {
	if len(t.scopes) == 0 {
		return asked.Minus(adminScopes())
	}
	return asked.Intersect(t.scopes)
}

func newResources(configured []Resource, catalog *scopes.Catalog) (map[string]*resource, error) {
	resources := make(map[string]*resource, len(configured))
	for _, r := range configured {
		canonical, err := canonicalResource(r.Identifier)
		if err != nil {
			return nil, fmt.Errorf("resource %q: %w", r.Identifier, err)
		}
		if _, twice := resources[canonical]; twice {
			return nil, fmt.Errorf("resource %q is configured twice", r.Identifier)
		}
		for _, name := range r.Scopes {
			if _, known := catalog.Lookup(name); !known {
				return nil, fmt.Errorf("resource %q: scope %q is not in the catalog", r.Identifier, name)
			}
		}
		if r.TokenFormat == "" {
			r.TokenFormat = storage.FormatJWT
		}
		resources[canonical] = &resource{Resource: r, canonical: canonical, scopes: catalog.Expand(scopes.Of(r.Scopes...))}
	}
	return resources, nil
}

// target chooses the resource of a token request (RFC 8707 §2): the requested
// one, or without a request the client's only or default one. A token is for
// one resource, because a token for two could be replayed by one at the other.
func (s *Server) target(c *client, requested []string) (target, error) {
	if len(requested) > 1 {
		return target{}, invalidTarget("Ask for one resource per token.")
	}
	asked := c.DefaultResource
	switch {
	case len(requested) == 1:
		asked = requested[0]
	case asked == "" && len(c.Resources) == 1:
		asked = c.Resources[0]
	case asked == "":
		return target{}, invalidTarget("Name the resource: the client has no default one.")
	}
	canonical, err := canonicalResource(asked)
	if err != nil {
		return target{}, invalidTarget("The resource is not an absolute URI without fragment.").because(err)
	}
	known, ok := s.resources[canonical]
	if !ok || !slices.Contains(c.audiences, canonical) {
		return target{}, invalidTarget("The resource is unknown or not allowed for this client.")
	}
	return target{resource: known, audience: audienceForm(known.Identifier, asked)}, nil
}

// resourceName is what people call the resource of that canonical identifier.
func (s *Server) resourceName(canonical string) string {
	if known, ok := s.resources[canonical]; ok && known.Name != "" {
		return known.Name
	}
	return hostOf(canonical)
}

// audienceForm is the configured identifier, with or without the slash of an
// empty path as the client wrote it.
func audienceForm(identifier, asked string) string {
	if strings.TrimSuffix(asked, "/") == strings.TrimSuffix(identifier, "/") {
		return asked
	}
	return identifier
}

// canonicalResource returns the form in which resource identifiers are
// compared: lower-case scheme and host, no default port, "/" for the empty
// path; path and query stay as they are (RFC 8707 §2, RFC 3986 §6.2).
func canonicalResource(identifier string) (string, error) {
	u, err := url.Parse(identifier)
	switch {
	case err != nil:
		return "", errors.New("not a URI")
	case !u.IsAbs() || u.Opaque != "" || u.Hostname() == "":
		return "", errors.New("not an absolute URI with a host")
	case u.User != nil:
		return "", errors.New("has user information")
	case strings.Contains(identifier, "#"):
		return "", errors.New("has a fragment")
	}
	name, port := strings.ToLower(u.Hostname()), u.Port()
	if literal := strings.Contains(name, ":"); literal != strings.HasPrefix(u.Host, "[") {
		return "", errors.New("malformed host")
	} else if literal {
		name = "[" + name + "]" // an IPv6 address
	}
	if u.Host = name; port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		u.Host += ":" + port
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

// canonicalAll returns the canonical forms of identifiers that have one.
func canonicalAll(identifiers []string) []string {
	canonical := make([]string, 0, len(identifiers))
	for _, identifier := range identifiers {
		if form, err := canonicalResource(identifier); err == nil {
			canonical = append(canonical, form)
		}
	}
	return canonical
}
