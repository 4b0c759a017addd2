package authserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/keys"
)

// Paths below the issuer.
const (
	pathMetadata   = "/.well-known/oauth-authorization-server"
	pathDiscovery  = "/.well-known/openid-configuration"
	pathJWKS       = "/.well-known/jwks.json"
	pathToken      = "/oauth/token"
	pathIntrospect = "/oauth/introspect"
	pathRevoke     = "/oauth/revoke"
	pathEvents     = "/oauth/events"
	pathHealth     = "/health"
	pathReady      = "/ready"
)

// metadataDocument is the authorization server metadata of RFC 8414 §2, with
// RFC 9728 §4 protected_resources and one member of ours for the feed.
type metadataDocument struct {
	Issuer                   string   `json:"issuer"`
	TokenEndpoint            string   `json:"token_endpoint"`
	JWKSURI                  string   `json:"jwks_uri"`
	ScopesSupported          []string `json:"scopes_supported"`
	ResponseTypesSupported   []string `json:"response_types_supported"`
	GrantTypesSupported      []string `json:"grant_types_supported"`
	TokenAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs            []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs       []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	CodeChallengeMethods     []string `json:"code_challenge_methods_supported"`
	ProtectedResources       []string `json:"protected_resources"`
	SubjectTypesSupported    []string `json:"subject_types_supported"`
	IDTokenSigningAlgs       []string `json:"id_token_signing_alg_values_supported"`
	EventsEndpoint           string   `json:"gatehouse_events_endpoint"`
}

// newMetadata returns the document; it is the same at every well-known form.
// Nothing in it comes from a request.
func (s *Server) newMetadata() ([]byte, error) {
	issuer := s.cfg.Issuer
	confidential := []string{methodSecretBasic, methodSecretPost, methodPrivateKeyJWT}
	algs := make([]string, 0, 4)
	for _, alg := range assertionAlgs() {
		algs = append(algs, string(alg))
	}
	resources := make([]string, 0, len(s.cfg.Resources))
	for _, r := range s.cfg.Resources {
		resources = append(resources, r.Identifier)
	}
	return json.Marshal(metadataDocument{
		Issuer:                   issuer,
		TokenEndpoint:            issuer + pathToken,
		JWKSURI:                  issuer + pathJWKS,
		ScopesSupported:          s.cfg.Scopes.Names(),
		ResponseTypesSupported:   []string{},
		GrantTypesSupported:      s.grantTypes(),
		TokenAuthMethods:         confidential,
		TokenAuthAlgs:            algs,
		IntrospectionEndpoint:    issuer + pathIntrospect,
		IntrospectionAuthMethods: confidential,
		IntrospectionAuthAlgs:    algs,
		RevocationEndpoint:       issuer + pathRevoke,
		RevocationAuthMethods:    append(slices.Clone(confidential), methodNone),
		RevocationAuthAlgs:       algs,
		// MCP clients refuse a server that does not say so, for every grant.
		CodeChallengeMethods:  []string{"S256"},
		ProtectedResources:    resources,
		SubjectTypesSupported: []string{"public"},
		IDTokenSigningAlgs:    keys.Algorithms(),
		EventsEndpoint:        issuer + pathEvents,
	})
}

// metadataPaths are all the places where clients look for the document of an
// issuer with or without a path (RFC 8414 §3.1, OpenID Connect Discovery §4,
// and what clients try besides).
func metadataPaths(issuer *url.URL) []string {
	path := issuer.EscapedPath()
	if path == "" {
		return []string{pathMetadata, pathDiscovery}
	}
	return []string{
		pathMetadata + path, pathDiscovery + path,
		path + pathMetadata, path + pathDiscovery,
	}
}

const publicCache = "public, max-age=300"

// document serves a public document that changes rarely.
func document(contentType string, body func(*logEntry) []byte) endpointFunc {
	return func(w http.ResponseWriter, _ *http.Request, entry *logEntry) error {
		w.Header().Set("Cache-Control", publicCache)
		writeDocument(w, http.StatusOK, contentType, body(entry))
		return nil
	}
}
