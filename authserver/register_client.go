package authserver

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// newRegistration returns the client that metadata describe.
func (s *Server) newRegistration(asked clientmetadata.Metadata, trusted bool, now time.Time) (storage.Client, error) {
	record, err := s.registrable(asked, trusted)
	if err != nil {
		return storage.Client{}, err
	}
	record.ID, record.Registration = rand.Text(), storage.RegisteredDynamically
	record.CreatedAt, record.UpdatedAt = now, now
	// One that acts for itself is never seen with a person, so that its use
	// would not show; the operator's token stands for it.
	if !actsForItself(record) {
		record.ExpiresAt = now.Add(s.cfg.Registration.Dynamic.UnusedLifetime)
	}
	return record, nil
}

// registrable returns the part of a record that metadata decide (RFC 7591 §2).
// It is liberal, because real clients leave most of it out: what is missing
// gets the value that works for an MCP client, what is unknown here is left
// out, and the answer tells the client what it has become.
//
//   - token_endpoint_auth_method: private_key_jwt for one with keys, else
//     none. RFC 7591 would make it client_secret_basic, but who does not ask
//     for a secret is a program on somebody's device that cannot keep one.
//   - grant_types: authorization_code and refresh_token; who has the one may
//     have the other, since a person decides on each connection anyway.
//   - client_credentials only for who has an initial access token: no person
//     decides there. Nothing sensitive is granted that way.
func (s *Server) registrable(asked clientmetadata.Metadata, trusted bool) (storage.Client, error) {
	asked.AuthMethod = registeredMethod(asked, trusted)
	record := described(asked)
	record.DefaultScopes = inCatalog(s.cfg.Scopes, asked.Scope)
	record.GrantTypes = registeredGrants(asked.GrantTypes, trusted)
	record.RedirectURIs = asked.RedirectURIs
	code := slices.Contains(record.GrantTypes, grantAuthorizationCode)
	switch {
	case !slices.Contains(registrableMethods(), record.AuthMethod):
		return record, invalidMetadata("This token_endpoint_auth_method is not supported.")
	case record.AuthMethod == methodPrivateKeyJWT && record.JWKS == nil && record.JWKSURI == "":
		return record, invalidMetadata("private_key_jwt needs jwks or jwks_uri.")
	case len(record.GrantTypes) == 0:
		return record, invalidMetadata("None of the grant_types is open to self-registered clients.")
	case actsForItself(record) && record.AuthMethod == methodNone:
		return record, invalidMetadata("client_credentials needs a client that authenticates.")
	case code && len(record.RedirectURIs) == 0:
		return record, invalidRedirectURI("authorization_code needs redirect_uris.")
	case code && len(asked.ResponseTypes) > 0 && !slices.Contains(asked.ResponseTypes, "code"):
		return record, invalidMetadata("The only response type is code.")
	}
	if actsForItself(record) {
		record.Scopes = ordinary(s.cfg.Scopes, record.DefaultScopes)
		if len(record.DefaultScopes) == 0 {
			record.Scopes = ordinary(s.cfg.Scopes, scopes.Of(s.cfg.Scopes.Names()...))
		}
		record.DefaultScopes = nil
		if len(record.Scopes) == 0 {
			return record, invalidMetadata("None of the scopes can be had without a person who grants it.")
		}
	}
	return record, nil
}

// actsForItself reports whether the client may get tokens without a person.
func actsForItself(c storage.Client) bool {
	return slices.Contains(c.GrantTypes, grantClientCredentials)
}

func registrableMethods() []string {
	return []string{methodNone, methodSecretBasic, methodSecretPost, methodPrivateKeyJWT}
}

func registeredMethod(asked clientmetadata.Metadata, trusted bool) string {
	switch {
	case asked.AuthMethod != "":
		return asked.AuthMethod
	case asked.JWKS != nil || asked.JWKSURI != "":
		return methodPrivateKeyJWT
	case trusted && slices.Contains(asked.GrantTypes, grantClientCredentials):
		return methodSecretBasic
	}
	return methodNone
}

func registeredGrants(asked []string, trusted bool) []string {
	if len(asked) == 0 || slices.Contains(asked, grantAuthorizationCode) || slices.Contains(asked, grantDeviceCode) {
		asked = append([]string{grantRefreshToken}, asked...)
	}
	if len(asked) == 1 && asked[0] == grantRefreshToken { // none were named, or only this
		asked = append(asked, grantAuthorizationCode)
	}
	open := userGrants()
	if trusted {
		open = append(open, grantClientCredentials)
	}
	return slices.DeleteFunc(open, func(grant string) bool { return !slices.Contains(asked, grant) })
}

// inCatalog returns the scopes that the catalog has.
func inCatalog(catalog *scopes.Catalog, set scopes.Set) scopes.Set {
	return set.Intersect(scopes.Of(catalog.Names()...))
}

// fingerprint identifies what a public client says about itself, whatever its
// port of the day: the same app that registers on each start, or on each sign-in,
// is one client, and a thousand registrations are one row. Since such a client
// is everybody's who says the same, nobody gets a token to change it with.
func fingerprint(c storage.Client) []byte {
	members := membersOf(c)
	members.RedirectURIs = clientmetadata.AnyPort(c.RedirectURIs)
	text, err := json.Marshal(members)
	if err != nil { // strings always encode
		panic(err)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// clientMembers are the members of client metadata that go both ways.
type clientMembers struct {
	Name            string          `json:"client_name,omitempty"`
	RedirectURIs    []string        `json:"redirect_uris,omitempty"`
	AuthMethod      string          `json:"token_endpoint_auth_method"`
	GrantTypes      []string        `json:"grant_types"`
	ResponseTypes   []string        `json:"response_types"`
	Scope           string          `json:"scope,omitempty"`
	ApplicationType string          `json:"application_type,omitempty"`
	ClientURI       string          `json:"client_uri,omitempty"`
	LogoURI         string          `json:"logo_uri,omitempty"`
	PolicyURI       string          `json:"policy_uri,omitempty"`
	TOSURI          string          `json:"tos_uri,omitempty"`
	Contacts        []string        `json:"contacts,omitempty"`
	JWKS            json.RawMessage `json:"jwks,omitempty"`
	JWKSURI         string          `json:"jwks_uri,omitempty"`
	SoftwareID      string          `json:"software_id,omitempty"`
	SoftwareVersion string          `json:"software_version,omitempty"`
}

func membersOf(c storage.Client) clientMembers {
	scope := c.DefaultScopes
	if len(c.Scopes) > 0 {
		scope = c.Scopes
	}
	members := clientMembers{
		Name: c.Name, RedirectURIs: c.RedirectURIs, AuthMethod: c.AuthMethod, GrantTypes: c.GrantTypes, ResponseTypes: []string{},
		Scope: strings.Join(scope, " "), ApplicationType: c.ApplicationType,
		ClientURI: c.ClientURI, LogoURI: c.LogoURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, Contacts: c.Contacts,
		JWKS: c.JWKS, JWKSURI: c.JWKSURI, SoftwareID: c.SoftwareID, SoftwareVersion: c.SoftwareVersion,
	}
	if slices.Contains(c.GrantTypes, grantAuthorizationCode) {
		members.ResponseTypes = append(members.ResponseTypes, "code")
	}
	return members
}
