package authserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// dispatch decides the next step of an interaction: sign-in, the question, or
// the answer.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	handle := r.URL.Query().Get("interaction")
	p, c, err := s.working(r, entry, handle)
	if err != nil {
		return err
	}
	if p.SignedIn.Hash != [32]byte{} {
		if err := s.touch(r.Context(), p.SignedIn, entry.start); err != nil {
			return err
		}
	}
	silent := slices.Contains(p.Prompt, promptNone)
	switch {
	case needsSignIn(p) && silent:
		return s.end(w, r, entry, p, errLoginRequired)
	case needsSignIn(p):
		return seeOther(w, s.pageOf(pathLogin, handle))
	case !s.needsConsent(c, p):
		return s.issueCode(w, r, entry, c, p, scopes.Of(p.Scopes...))
	case silent:
		return s.end(w, r, entry, p, errConsentRequired)
	}
	return s.ask(w, c, p, handle, s.suggested(p), web.Problem{})
}

// decide takes the person's answer.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	form, err := parseParams(r, "scope")
	if err != nil {
		return err
	}
	handle, shownTo, _ := strings.Cut(form.get("interaction"), ".")
	p, c, err := s.working(r, entry, handle)
	if err != nil {
		return err
	}
	decision, device := form.get("decision"), p.UserCode != [32]byte{}
	switch {
	case decision == "deny" && device:
		return s.decideDevice(w, r, entry, p, nil, false)
	case decision == "deny":
		return s.end(w, r, entry, p, errAccessDenied)
	case decision != "allow":
		return invalidRequest("decision is neither allow nor deny.")
	case needsSignIn(p) || shownTo != whom(p.SignedIn):
		return seeOther(w, s.resume(handle)) // to ask whoever is signed in now
	}
	asked := scopes.Of(p.Scopes...)
	granted := scopes.Of(form.form["scope"]...).Union(scopes.Of(scopeOpenID)).Intersect(asked)
	if meaningless(granted) || (len(granted.Minus(identityScopes())) == 0 && len(asked.Minus(identityScopes())) > 0) {
		return s.ask(w, c, p, handle, granted, web.Problem{Text: "Choose at least one permission, or cancel."})
	}
	if device {
		return s.decideDevice(w, r, entry, p, granted, true)
	}
	return s.issueCode(w, r, entry, c, p, granted)
}

// working is progress with the client, both still as they were: a redirect URI
// that the client has given up since is no place to go.
func (s *Server) working(r *http.Request, entry *logEntry, handle string) (storage.Progress, *client, error) {
	p, err := s.progress(r, entry, handle)
	if err != nil {
		return p, nil, err
	}
	c, err := s.knownClient(r.Context(), p.ClientID)
	if err != nil {
		return p, nil, err
	}
	if p.RedirectURI != "" {
		if _, err := c.redirectURI(p.RedirectURI); err != nil {
			return p, nil, wrongRedirect(err)
		}
	}
	return p, c, nil
}

// needsConsent reports whether the person must be asked. It is not needed when
// they have granted all of it before, to a client that still is what it was and
// that nobody else can pose as.
func (s *Server) needsConsent(c *client, p storage.Progress) bool {
	asked := scopes.Of(p.Scopes...)
	return slices.Contains(p.Prompt, promptConsent) || p.UserCode != [32]byte{} || impersonable(p.RedirectURI) ||
		!bytes.Equal(p.ConsentedDigest, c.digest()) || len(s.cfg.Scopes.Missing(scopes.Of(p.Consented...), asked)) > 0
}

// suggested are the scopes that are ticked at first: never a sensitive one.
func (s *Server) suggested(p storage.Progress) scopes.Set {
	return slices.DeleteFunc(scopes.Of(p.Scopes...), func(name string) bool { return sensitive(s.cfg.Scopes, name) })
}

// whom names the session that a page was made for without revealing it, so
// that an answer counts for nobody else.
func whom(session storage.Session) string {
	sum := sha256.Sum256(session.Hash[:])
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// ask answers with the consent page.
func (s *Server) ask(w http.ResponseWriter, c *client, p storage.Progress, handle string, ticked scopes.Set, problem web.Problem) error {
	asked, had := scopes.Of(p.Scopes...), scopes.Of(p.Consented...)
	page := web.Consent{
		Form:     web.Form{Action: pathConsent, Interaction: handle + "." + whom(p.SignedIn)},
		Client:   s.clientOnPage(c, p.RedirectURI),
		Username: p.User.Username,
		Resource: s.resourceName(p.Resource), ResourceURI: p.Audience,
		Permissions:   s.permissions(asked, had, ticked),
		Additional:    len(had) > 0,
		Changed:       len(had) > 0 && !bytes.Equal(p.ConsentedDigest, c.digest()),
		Offline:       !asked.Has(scopeOffline) && s.refreshable(c, asked, asked),
		UserCode:      shownUserCode(p),
		SwitchAccount: pathLogin + "?" + url.Values{"interaction": {handle}, "switch": {"1"}}.Encode(),
		AccountURL:    "/account",
		Problem:       problem,
	}
	status := http.StatusOK
	if problem.Text != "" {
		status = http.StatusUnprocessableEntity
	}
	document, err := s.pages.Consent(page)
	return writePage(w, status, document, err)
}

// permissions are the asked scopes as a person sees them, in the order of the
// catalog and then of the alphabet.
func (s *Server) permissions(asked, had, ticked scopes.Set) []web.Permission {
	var shown []web.Permission
	show := func(name string, scope scopes.Scope) {
		p := web.Permission{
			Scope: name, Description: scope.Description, Sensitive: sensitive(s.cfg.Scopes, name),
			Granted: ticked.Has(name), New: len(had) > 0 && !had.Has(name),
		}
		if p.Description == "" {
			p.Description = name
		}
		if name == scopeOpenID {
			p.Required, p.Granted, p.Reason = true, true, "The app signs you in with it."
		}
		shown = append(shown, p)
	}
	for _, scope := range s.cfg.Scopes.All() {
		if asked.Has(scope.Name) {
			show(scope.Name, scope)
		}
	}
	for _, name := range asked {
		if _, described := s.cfg.Scopes.Lookup(name); !described {
			show(name, scopes.Scope{})
		}
	}
	return shown
}

// end answers the client with a refusal, and the interaction is over.
func (s *Server) end(w http.ResponseWriter, r *http.Request, entry *logEntry, p storage.Progress, told *oauthError) error {
	err := s.cfg.Store.EndInteraction(r.Context(), p.Hash)
	if errors.Is(err, storage.ErrSpent) {
		return startAgain(err)
	}
	if err != nil {
		return err
	}
	return s.redirectError(w, entry, p.RedirectURI, p.State, told)
}

// issueCode answers the client with a code for what was granted, and the
// interaction is over.
func (s *Server) issueCode(w http.ResponseWriter, r *http.Request, entry *logEntry, c *client, p storage.Progress, granted scopes.Set) error {
	code, hash := newCode()
	entry.grantID = newGrantID()
	err := s.cfg.Store.IssueCode(r.Context(), storage.Code{
		Hash: hash, GrantID: entry.grantID,
		ClientID: c.ID, UserID: p.User.ID, RedirectURI: p.RedirectURI, CodeChallenge: p.CodeChallenge,
		Scopes: granted, Resource: p.Resource, Audience: p.Audience, TokenFormat: p.TokenFormat,
		AuthTime: p.SignedIn.AuthTime, Methods: p.SignedIn.Methods, Nonce: p.Nonce,
		ClientDigest: c.digest(), Device: userAgent(r),
		Refresh:   s.refreshable(c, scopes.Of(p.Scopes...), granted),
		CreatedAt: entry.start, ExpiresAt: entry.start.Add(s.cfg.Tokens.CodeLifetime),
	}, p.Hash)
	if errors.Is(err, storage.ErrSpent) {
		return startAgain(err)
	}
	if err != nil {
		return err
	}
	return s.redirectBack(w, p.RedirectURI, p.State, url.Values{"code": {code}})
}
