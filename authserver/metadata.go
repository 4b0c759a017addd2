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
	pathPush       = "/oauth/par"
	pathRegister   = "/oauth/register"
	pathUserinfo   = "/oauth/userinfo"
	pathDevice     = "/oauth/device"
	pathEvents     = "/oauth/events"

	pathDeviceAuthorization = "/oauth/device_authorization"

	pathHealth = "/health"
	pathReady  = "/ready"
)

// metadataDocument is the authorization server metadata of RFC 8414 §2 and
// OpenID Connect Discovery §3, with the members of the RFCs that are named
// beside them and one of ours for the feed.
type metadataDocument struct {
	Issuer                   string   `json:"issuer"`
	AuthorizationEndpoint    string   `json:"authorization_endpoint"`
	TokenEndpoint            string   `json:"token_endpoint"`
	JWKSURI                  string   `json:"jwks_uri"`
	RegistrationEndpoint     string   `json:"registration_endpoint,omitempty"`
	ScopesSupported          []string `json:"scopes_supported"`
	ResponseTypesSupported   []string `json:"response_types_supported"`
	ResponseModesSupported   []string `json:"response_modes_supported"`
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

	DeviceEndpoint     string   `json:"device_authorization_endpoint"`                  // RFC 8628 §4
	PushEndpoint       string   `json:"pushed_authorization_request_endpoint"`          // RFC 9126 §5
	PushRequired       bool     `json:"require_pushed_authorization_requests"`          // same
	IssInResponse      bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	ProtectedResources []string `json:"protected_resources"`                            // RFC 9728 §4
	ClientDocuments    bool     `json:"client_id_metadata_document_supported"`          // CIMD §5

	UserinfoEndpoint      string   `json:"userinfo_endpoint"`
	SubjectTypesSupported []string `json:"subject_types_supported"`
	IDTokenSigningAlgs    []string `json:"id_token_signing_alg_values_supported"`
	ClaimsSupported       []string `json:"claims_supported"`
	ClaimsParameter       bool     `json:"claims_parameter_supported"`
	RequestParameter      bool     `json:"request_parameter_supported"`
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"` // of foreign ones; pushed ones are
	PromptValues          []string `json:"prompt_values_supported"`         // Initiating User Registration 1.0 §5

	EventsEndpoint string `json:"gatehouse_events_endpoint"`
}

// newMetadata returns the document; it is the same at every well-known form.
// Nothing in it comes from a request.
func (s *Server) newMetadata() ([]byte, error) {
	issuer := s.cfg.Issuer
	confidential := []string{methodSecretBasic, methodSecretPost, methodPrivateKeyJWT}
	// Clients with a metadata document are public, and look for "none" before
	// they use one.
	all := append(slices.Clone(confidential), methodNone)
	algs := make([]string, 0, 4)
	for _, alg := range assertionAlgs() {
		algs = append(algs, string(alg))
	}
	resources := make([]string, 0, len(s.cfg.Resources))
	for _, r := range s.cfg.Resources {
		resources = append(resources, r.Identifier)
	}
	document := metadataDocument{
		Issuer:                   issuer,
		AuthorizationEndpoint:    issuer + pathAuthorize,
		TokenEndpoint:            issuer + pathToken,
		JWKSURI:                  issuer + pathJWKS,
		ScopesSupported:          s.cfg.Scopes.Names(),
		ResponseTypesSupported:   []string{"code"},
		ResponseModesSupported:   []string{"query"},
		GrantTypesSupported:      s.grantTypes(),
		TokenAuthMethods:         all,
		TokenAuthAlgs:            algs,
		IntrospectionEndpoint:    issuer + pathIntrospect,
		IntrospectionAuthMethods: confidential,
		IntrospectionAuthAlgs:    algs,
		RevocationEndpoint:       issuer + pathRevoke,
		RevocationAuthMethods:    all,
		RevocationAuthAlgs:       algs,
		// MCP clients refuse a server that does not say so, for every grant.
		CodeChallengeMethods:  []string{"S256"},
		DeviceEndpoint:        issuer + pathDeviceAuthorization,
		PushEndpoint:          issuer + pathPush,
		IssInResponse:         true,
		ProtectedResources:    resources,
		ClientDocuments:       s.cfg.Registration.Documents.Enabled,
		UserinfoEndpoint:      issuer + pathUserinfo,
		SubjectTypesSupported: []string{"public"},
		IDTokenSigningAlgs:    keys.Algorithms(),
		ClaimsSupported: []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash",
			"name", "preferred_username", "email", "email_verified",
		},
		PromptValues:   []string{"none", "login", "consent", "select_account"},
		EventsEndpoint: issuer + pathEvents,
	}
	if s.cfg.Registration.Dynamic.Enabled {
		document.RegistrationEndpoint = issuer + pathRegister
	}
	return json.Marshal(document)
}

// metadataPaths are all the places where clients look for the document of an
// issuer with or without a path (RFC 8414 §3.1, OpenID Connect Discovery §4,
// and what clients try besides).
func metadataPaths(issuer *url.URL) []string {
	plain := []string{pathMetadata, pathDiscovery}
	path := issuer.EscapedPath()
	if path == "" {
		return plain
	}
	return append(plain, pathMetadata+path, pathDiscovery+path, path+pathMetadata, path+pathDiscovery)
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
