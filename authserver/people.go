package authserver

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/passkey"
	"github.com/gatehouse-mcp/gatehouse/authserver/internal/password"
)

// Paths of people's pages below the issuer.
const (
	pathSecondFactor = "/login/second-factor"
	pathUpstream     = "/login/upstream/"
	pathLogout       = "/logout"
	pathAccount      = "/account"
)

// people is what signing people in needs.
type people struct {
	hasher    *password.Hasher
	guesses   *guesses
	upstreams []provider
	party     *passkey.RelyingParty // nil: no passkeys
}

// newPeople prepares the ways to sign in.
func newPeople(cfg Config, issuer *url.URL) (*people, error) {
	if life := cfg.Login.SessionLifetime; life < 0 || life > maxSessionLifetime {
		return nil, fmt.Errorf("session lifetime %s is not between 0 and %s", life, maxSessionLifetime)
	}
	upstreams, err := newUpstreams(cfg)
	if err != nil {
		return nil, err
	}
	party, err := newParty(cfg, issuer.Hostname(), issuer.Scheme+"://"+issuer.Host)
	if err != nil {
		return nil, err
	}
	return &people{hasher: password.NewHasher(), guesses: newGuesses(), upstreams: upstreams, party: party}, nil
}

// peopleRoutes are those of sign-in, sign-out and the account.
func (s *Server) peopleRoutes() []route {
	return append([]route{
		{http.MethodGet, pathLogin, "page_login", 0, false, false, s.loginPage},
		{http.MethodPost, pathLogin, "page_login", maxFormBytes, false, false, s.login},
		{http.MethodPost, pathPasskey, "page_passkey", maxFormBytes, false, false, s.loginByPasskey},
		{http.MethodGet, pathSecondFactor, "page_second_factor", 0, false, false, s.secondFactorPage},
		{http.MethodPost, pathSecondFactor, "page_second_factor", maxFormBytes, false, false, s.secondFactor},
		{http.MethodGet, pathUpstream + "{id}", "page_upstream", 0, false, false, s.upstreamCallback},
		{http.MethodGet, pathLogout, "page_logout", 0, false, false, s.logoutPage},
		{http.MethodPost, pathLogout, "page_logout", maxFormBytes, false, false, s.logout},
	}, s.accountRoutes()...)
}
