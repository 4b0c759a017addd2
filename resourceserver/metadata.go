package resourceserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gatehouse-mcp/gatehouse/scopes"
)

const wellKnownResource = "/.well-known/oauth-protected-resource"

// MetadataPath returns the path of the resource's metadata (RFC 9728 §3): the
// well-known prefix before the path of the resource.
func (s *Server) MetadataPath() string {
	return wellKnownResource + strings.TrimSuffix(s.resource.EscapedPath(), "/")
}

// Metadata serves the protected resource metadata (RFC 9728 §2) to anyone who
// may connect, at [Server.MetadataPath] and, for clients that look there, at the
// root form. Both say the same: the resource is the one that tokens are issued
// for. Pages of every origin may read it, because it holds no secret. Without an
// issuer there is none.
func (s *Server) Metadata() http.Handler {
	return s.handle(func(x *exchange, r *http.Request) *Refusal {
		x.open = true
		h := x.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if refusal := s.edge.limit(x); refusal != nil {
			return refusal
		}
		path := r.URL.EscapedPath()
		switch {
		case s.document == nil || path != s.MetadataPath() && path != wellKnownResource:
			http.NotFound(x, r)
		case r.Method == http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Accept, Content-Type, MCP-Protocol-Version")
			h.Set("Access-Control-Max-Age", "600")
			x.WriteHeader(http.StatusNoContent)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "public, max-age=300")
			_, _ = x.Write(s.document) // the client may be gone
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(x, "Method Not Allowed", http.StatusMethodNotAllowed)
		}
		return nil
	})
}

// describe makes the metadata document.
func (s *Server) describe() ([]byte, error) {
	document, err := json.Marshal(oauthex.ProtectedResourceMetadata{
		Resource:               s.cfg.Resource,
		AuthorizationServers:   []string{s.cfg.Issuer},
		ScopesSupported:        scopes.Of(s.cfg.ScopesSupported...),
		BearerMethodsSupported: []string{"header"},
		ResourceName:           s.cfg.ResourceName,
	})
	if err != nil {
		return nil, fmt.Errorf("resource metadata: %w", err)
	}
	return document, nil
}
