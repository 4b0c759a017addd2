package clientmetadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

// Bounds of what is kept of a client.
const (
	maxName     = 80 // characters, as are the next two
	maxVersion  = 80
	maxContact  = 120
	maxContacts = 10
	maxSoftware = 256 // bytes
	maxItems    = 32  // redirect URIs, grant types, methods
	maxItem     = 256 // bytes of a grant type or method
)

// Member names of RFC 7591 §2 that callers report on.
const (
	memberRedirectURIs = "redirect_uris"
	memberSecret       = "client_secret"
)

// ErrRedirectURI says that a redirect URI is not acceptable; any other error
// of [Parse] is about another member (RFC 7591 §3.2.2).
var ErrRedirectURI = errors.New("invalid redirect URI")

// Metadata is what a client says about itself, with the names of RFC 7591 §2.
// What it did not say is zero.
type Metadata struct {
	ClientID     string // of an update (RFC 7592) or a document
	ClientSecret string // of an update
	// Secret says that there is a member about a client secret, even empty.
	Secret bool

	Name         string // client_name, displayable
	RedirectURIs []string
	// AuthMethod is token_endpoint_auth_method, AuthMethods
	// token_endpoint_auth_methods_supported (OpenID Connect RP Metadata
	// Choices).
	AuthMethod    string
	AuthMethods   []string
	GrantTypes    []string
	ResponseTypes []string
	Scope         scopes.Set

	JWKS    []byte // usable public keys only in it, compact
	JWKSURI string

	ApplicationType string // web, native or empty
	// Addresses for people are https or left out.
	ClientURI, LogoURI, PolicyURI, TOSURI string

	Contacts        []string
	SoftwareID      string
	SoftwareVersion string
}

// Config says how strict to be.
type Config struct {
	// AllowLoopback lets jwks_uri and logo_uri name this very machine by http.
	AllowLoopback bool
}

// Parse reads and checks client metadata. An error says in one sentence what
// is wrong, without repeating any of it; it wraps [ErrRedirectURI] when that
// is what is wrong. Texts are cleaned, unusable addresses of pages are left
// out, and members it does not know are ignored.
func (c Config) Parse(document []byte) (Metadata, error) {
	members, err := object(document)
	if err != nil {
		return Metadata{}, fmt.Errorf("they are %w", err)
	}
	r := &reader{members: members}
	m := Metadata{
		ClientID: r.text("client_id", maxURI), ClientSecret: r.text(memberSecret, maxItem),
		Secret:          r.has(memberSecret) || r.has("client_secret_expires_at"),
		RedirectURIs:    r.list(memberRedirectURIs, maxURI),
		AuthMethod:      r.text("token_endpoint_auth_method", maxItem),
		AuthMethods:     r.list("token_endpoint_auth_methods_supported", maxItem),
		GrantTypes:      r.list("grant_types", maxItem),
		ResponseTypes:   r.list("response_types", maxItem),
		JWKSURI:         r.text("jwks_uri", maxURI),
		ApplicationType: r.text("application_type", maxItem),
		ClientURI:       page(r.text("client_uri", maxURI), false),
		LogoURI:         page(r.text("logo_uri", maxURI), c.AllowLoopback),
		PolicyURI:       page(r.text("policy_uri", maxURI), false),
		TOSURI:          page(r.text("tos_uri", maxURI), false),
		SoftwareID:      displayable(r.text("software_id", maxSoftware), maxSoftware),
		SoftwareVersion: displayable(r.text("software_version", maxSoftware), maxVersion),
		Name:            displayable(r.text("client_name", maxURI), maxName),
	}
	for _, contact := range r.list("contacts", maxSoftware) {
		if shown := displayable(contact, maxContact); shown != "" && len(m.Contacts) < maxContacts {
			m.Contacts = append(m.Contacts, shown)
		}
	}
	if m.ApplicationType != "web" && m.ApplicationType != "native" {
		m.ApplicationType = ""
	}
	scope := r.text("scope", scopes.MaxLength)
	if r.err != nil {
		return Metadata{}, r.err
	}
	err = c.complete(&m, scope, members["jwks"])
	return m, err
}

// complete checks the members that have a grammar of their own.
func (c Config) complete(m *Metadata, scope string, jwks json.RawMessage) (err error) {
	for _, uri := range m.RedirectURIs {
		if err := CheckRedirectURI(uri); err != nil {
			return fmt.Errorf("%w: %w", ErrRedirectURI, err)
		}
	}
	if m.Scope, err = scopes.Parse(scope); err != nil {
		return errors.New("scope is malformed")
	}
	if m.JWKSURI != "" && page(m.JWKSURI, c.AllowLoopback) == "" {
		return errors.New("jwks_uri is not an https URL")
	}
	if isNull(jwks) {
		return nil
	}
	if m.JWKSURI != "" {
		return errors.New("jwks and jwks_uri exclude each other")
	}
	m.JWKS, err = checkKeys(jwks)
	return err
}

// page returns an https URL, or one of this machine where that is allowed, and
// nothing else.
func page(uri string, allowLoopback bool) string {
	u := ParseURL(uri)
	if u == nil || (u.Scheme == "http" && (!allowLoopback || !Loopback(u.Hostname()))) {
		return ""
	}
	return uri
}

// reader takes members out of an object; the first error stays.
type reader struct {
	members map[string]json.RawMessage
	err     error
}

// isNull says that a member is absent: null means the same (RFC 7592 §2.2).
func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func (r *reader) has(name string) bool { _, found := r.members[name]; return found }

// text returns a string of at most limit bytes without NUL.
func (r *reader) text(name string, limit int) string {
	var text string
	r.read(name, &text)
	r.bound(name, text, limit)
	return text
}

// list returns an array of at most maxItems strings of at most limit bytes.
func (r *reader) list(name string, limit int) []string {
	var items []string
	r.read(name, &items)
	if len(items) > maxItems {
		r.fail(fmt.Errorf("%s has more than %d items", name, maxItems))
		return nil
	}
	for _, item := range items {
		r.bound(name, item, limit)
	}
	return items
}

func (r *reader) read(name string, into any) {
	if raw := r.members[name]; !isNull(raw) && json.Unmarshal(raw, into) != nil {
		r.fail(fmt.Errorf("%s has the wrong type", name))
	}
}

func (r *reader) bound(name, text string, limit int) {
	if len(text) > limit || strings.Contains(text, "\x00") {
		r.fail(fmt.Errorf("%s is too long or has a NUL in it", name))
	}
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
