package authserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/upstream"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// upstreamLifetime is how long somebody may take at a provider.
const upstreamLifetime = 15 * time.Minute

// provider is an OpenID provider that people may sign in with.
type provider struct {
	Upstream
	party *upstream.Provider
}

var upstreamID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// newUpstreams prepares the providers; none is asked for anything yet.
func newUpstreams(cfg Config) ([]provider, error) {
	var providers []provider
	for _, u := range cfg.Login.Upstreams {
		if !upstreamID.MatchString(u.ID) || slices.ContainsFunc(providers, func(p provider) bool { return p.ID == u.ID }) {
			return nil, fmt.Errorf("upstream id %q is not unique, or not of lower-case letters, digits and hyphens", u.ID)
		}
		if u.Name == "" {
			u.Name = u.ID
		}
		if u.Scopes == nil {
			u.Scopes = []string{"profile", "email"}
		}
		party, err := upstream.New(upstream.Config{
			Issuer: u.Issuer, ClientID: u.ClientID, ClientSecret: u.ClientSecret, Scopes: u.Scopes,
			RedirectURL: cfg.Issuer + pathUpstream + u.ID,
		})
		if err != nil {
			return nil, err
		}
		providers = append(providers, provider{u, party})
	}
	return providers, nil
}

func (p *people) upstream(id string) (provider, bool) {
	i := slices.IndexFunc(p.upstreams, func(u provider) bool { return u.ID == id })
	if i < 0 {
		return provider{}, false
	}
	return p.upstreams[i], true
}

// upstreamState is the parameter state of a sign-in at a provider: all that has
// to be remembered of it, sealed and bound to the browser (RFC 9700 §4.7). So
// several tabs can be at providers at once, and nobody can finish what he did
// not begin.
type upstreamState struct {
	Provider    string         `json:"p"`
	Begun       upstream.Begun `json:"b"`
	Interaction string         `json:"i,omitempty"`
	Page        string         `json:"r,omitempty"`
}

const purposeUpstream = "upstream state"

// beginUpstream sends the browser to a provider.
func (s *Server) beginUpstream(w http.ResponseWriter, r *http.Request, entry *logEntry, d destination, id string) error {
	p, found := s.people.upstream(id)
	if !found {
		return invalidRequest("There is no such provider here.")
	}
	begun := upstream.Begin()
	state, err := s.sealed.SealValue(purposeUpstream, bound(s.browser(w, r)),
		upstreamState{p.ID, begun, d.interaction, d.page}, entry.start.Add(upstreamLifetime))
	if err != nil {
		return err
	}
	location, err := p.party.Location(r.Context(), begun, state)
	if err != nil {
		return upstreamFailure(p, d, err)
	}
	return seeOther(w, location)
}

// upstreamCallback takes the provider's answer (OpenID Connect Core §3.1.2.5).
func (s *Server) upstreamCallback(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	answer, err := parseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	_, browser := s.cookie(r, cookieBrowser)
	var state upstreamState
	if err := s.sealed.OpenValue(purposeUpstream, bound(browser), answer.Get("state"), entry.start, &state); err != nil {
		return startAgain(fmt.Errorf("upstream state: %w", err))
	}
	d := destination{state.Interaction, state.Page}
	p, found := s.people.upstream(mux.Vars(r)["id"])
	if !found || p.ID != state.Provider {
		s.refusedUpstream(r, entry, state.Provider, "the answer came to another provider's address")
		return startAgain(errors.New("answer at another provider's address"))
	}
	person, err := p.party.Finish(r.Context(), state.Begun, answer)
	if err == nil && !p.lets(person) {
		err = errDomain
	}
	if err != nil {
		s.refusedUpstream(r, entry, p.ID, err.Error())
		return upstreamFailure(p, d, err)
	}
	user, err := s.upstreamUser(r.Context(), person, entry.start)
	if err != nil {
		return err
	}
	if user.Disabled {
		return s.refuseSignIn(w, r, entry, refusedSignIn{destination: d, subject: user.ID}, http.StatusForbidden, textDisabled)
	}
	return s.proceed(w, r, entry, user, []string{byUpstream}, d)
}

// errDomain says that somebody is not of those who may sign in.
var errDomain = errors.New("the e-mail address is not verified or of a domain that may not sign in")

// lets reports whether somebody may sign in.
func (p provider) lets(person upstream.Person) bool {
	_, domain, _ := strings.Cut(person.Email, "@")
	return len(p.AllowedDomains) == 0 || person.EmailVerified &&
		slices.ContainsFunc(p.AllowedDomains, func(allowed string) bool { return strings.EqualFold(allowed, domain) })
}

func (s *Server) refusedUpstream(r *http.Request, entry *logEntry, id, cause string) {
	s.metrics.loginFailed()
	s.cfg.SecurityLog.WarnContext(r.Context(), "upstream sign-in refused", "request_id", entry.requestID,
		"upstream", id, "cause", cause, "remote_addr", r.RemoteAddr)
}

// upstreamFailure is the page for a provider that does not let somebody in, with
// the way back.
func upstreamFailure(p provider, d destination, cause error) *pageError {
	page := &pageError{linkText: "Back to sign-in", linkURL: d.at(pathLogin), advice: "Sign in another way, or try again in a moment."}
	switch {
	case errors.Is(cause, upstream.ErrDenied):
		page.oauthError = refusal(codeAccessDenied, "The provider did not sign the person in.").because(cause)
		page.title, page.text = "You were not signed in", p.Name+" did not sign you in. Nothing was changed."
	case errors.Is(cause, errDomain):
		page.oauthError = (&oauthError{status: http.StatusForbidden, code: codeAccessDenied, description: "The person may not sign in here."}).because(cause)
		page.title, page.text = "This account cannot sign in here", "Your account at "+p.Name+" is not one of those that may sign in. Nothing was changed."
		page.advice = "Use another account, or ask whoever runs this server."
	case errors.Is(cause, upstream.ErrAnswer):
		page.oauthError = invalidRequest("The provider's answer was not accepted.").because(cause)
		page.title, page.text = "The sign-in did not work", "What "+p.Name+" answered was not accepted. Nothing was changed."
	default:
		page.oauthError = unavailable(cause)
		page.title, page.text = p.Name+" cannot be reached", "The server could not talk to "+p.Name+". Nothing was lost."
	}
	return page
}

// maxUsernameTries bounds how often a username is changed because another has
// it.
const maxUsernameTries = 8

// upstreamUser returns the account of somebody at a provider, and makes one at
// the first sign-in. Only issuer and subject say who it is: an account is never
// found by an e-mail address, which anybody can claim.
func (s *Server) upstreamUser(ctx context.Context, person upstream.Person, now time.Time) (storage.User, error) {
	identity := storage.Identity{Issuer: person.Issuer, Subject: person.Subject}
	user, err := s.cfg.Store.UserByIdentity(ctx, identity)
	if !errors.Is(err, storage.ErrNotFound) {
		return user, err
	}
	base := upstreamUsername(person)
	user = storage.User{
		ID: NewUserID(), Username: base, Name: person.Name, Email: person.Email, EmailVerified: person.EmailVerified,
		CreatedAt: now, UpdatedAt: now,
	}
	for range maxUsernameTries {
		err = s.cfg.Store.CreateUser(ctx, user, identity)
		if !errors.Is(err, storage.ErrExists) {
			break
		}
		// Either the name is taken, or the same person was faster in another tab.
		known, lookup := s.cfg.Store.UserByIdentity(ctx, identity)
		if !errors.Is(lookup, storage.ErrNotFound) {
			return known, lookup
		}
		user.Username = base + "-" + strings.ToLower(rand.Text()[:5])
	}
	user.Revision = 1
	return user, err
}

// upstreamUsername is the name of a new account: the e-mail address when the
// provider vouches for it, else the name there, as long as it does not look like
// an address that somebody else may have.
func upstreamUsername(person upstream.Person) string {
	const room = maxUsername - len("-xxxxx")
	if name, err := CanonicalUsername(person.Email); err == nil && person.EmailVerified && len(name) <= room {
		return name
	}
	if name, err := CanonicalUsername(person.Username); err == nil && !strings.Contains(name, "@") && len(name) <= room {
		return name
	}
	return "user-" + strings.ToLower(rand.Text()[:8])
}
