package authserver

import (
	_ "embed" // the description of the admin API
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// AdminScope is the scope of the admin API's tokens. It is no entry of any
// catalog: it means something at [AdminResource] only, no person can grant it,
// no client can register for it by itself, and no metadata tells of it. A client
// gets it from an operator, and its tokens by client credentials.
const AdminScope = "gatehouse:admin"

// Paths below the issuer.
const (
	pathAdmin            = "/admin/api"
	pathAdminDescription = pathAdmin + "/openapi.json"
	pathAdminRevocations = pathAdmin + "/v1/revocations"
)

// AdminResource is the resource identifier (RFC 8707) of an issuer's admin API,
// the audience of its tokens.
func AdminResource(issuer string) string { return issuer + pathAdmin }

//go:embed admin_openapi.json
var adminDescription []byte

// addAdmin makes the admin API a resource that tokens are issued for, beside
// those that are configured.
func (s *Server) addAdmin() error {
	if _, known := s.cfg.Scopes.Lookup(AdminScope); known {
		return fmt.Errorf("scope %q is the server's own and cannot be in the catalog", AdminScope)
	}
	identifier := AdminResource(s.cfg.Issuer)
	canonical, err := canonicalResource(identifier)
	if err != nil {
		return err
	}
	if _, taken := s.resources[canonical]; taken {
		return fmt.Errorf("resource %q is the server's own admin API", identifier)
	}
	s.admin = canonical
	s.resources[canonical] = &resource{
		Resource:  Resource{Identifier: identifier, TokenFormat: storage.FormatJWT},
		canonical: canonical, scopes: adminScopes(),
	}
	return nil
}

func adminScopes() scopes.Set { return scopes.Of(AdminScope) }

func (t target) administers() bool { return t.scopes.Has(AdminScope) }

// adminRoutes are the addresses of the admin API. No script of another origin
// can call it: tokens for it have no place in a browser.
func (s *Server) adminRoutes() []route {
	return []route{
		{http.MethodGet, pathAdminDescription, "admin_description", 0, false, false, document("application/json", func(*logEntry) []byte { return adminDescription })},
		{http.MethodPost, pathAdminRevocations, "admin_revocations", maxAdminBytes, false, false, s.forAdmin(s.adminRevoke)},
	}
}

const maxAdminBytes = 64 << 10 // several times the longest token

// forAdmin lets only administrators reach an endpoint; who else tries is a
// security event.
func (s *Server) forAdmin(serve endpointFunc) endpointFunc {
	return func(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
		err := s.administrator(r, entry)
		if err == nil {
			return serve(w, r, entry)
		}
		if refusal := errorFor(err); refusal.status < http.StatusInternalServerError {
			s.cfg.SecurityLog.WarnContext(r.Context(), "admin API refused", "request_id", entry.requestID, "endpoint", entry.endpoint,
				"client_id", entry.clientID, "subject", entry.subject, "jti", entry.jti, "remote_addr", r.RemoteAddr, "cause", refusal.logged())
		}
		return err
	}
}

// administrator checks the access token of a request to the admin API (RFC 6750
// §3.1). What any replica has revoked by now is refused here at once, so the
// event log is read, but only for tokens that were good a moment ago.
func (s *Server) administrator(r *http.Request, entry *logEntry) error {
	presented, err := s.readBearer(r)
	if err != nil {
		return err
	}
	token, err := s.adminToken(r, presented, entry)
	if err != nil {
		return err
	}
	entry.clientID, entry.subject, entry.grantID, entry.jti = token.clientID, token.subject, token.grantID, token.id
	if !token.scopes.Has(AdminScope) {
		return s.insufficientScope(AdminScope)
	}
	if err := s.log.poll(r.Context(), time.Now()); err != nil {
		return err
	}
	if _, err := s.adminToken(r, presented, entry); err != nil {
		return err
	}
	c, err := s.clients.get(r.Context(), token.clientID)
	if err != nil {
		return s.gone(err)
	}
	// What an operator has taken from a client it has lost, whatever its token says.
	if !c.may(grantClientCredentials) || !c.scopes.Has(AdminScope) || !c.mayUse(s.admin) {
		return s.insufficientScope(AdminScope)
	}
	return nil
}

// adminToken returns the token if it is in force and for the admin API.
func (s *Server) adminToken(r *http.Request, presented string, entry *logEntry) (*accessToken, error) {
	token, err := s.lookup(r.Context(), presented, entry.start)
	if errors.Is(err, errInactive) {
		return nil, s.invalidToken(err)
	}
	if err != nil {
		return nil, err
	}
	if !slices.Contains(token.resources, s.admin) {
		return nil, s.invalidToken(errors.New("the token is for another resource"))
	}
	return token, nil
}
