package authserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// interactionLifetime is how long a person may take.
const interactionLifetime = 30 * time.Minute

// Values of prompt (OpenID Connect Core §3.1.2.1).
const (
	promptNone          = "none"
	promptLogin         = "login"
	promptConsent       = "consent"
	promptSelectAccount = "select_account"
)

// progress returns the interaction that handle names, with who is signed in. An
// interaction that is unknown, has expired or began in another browser is the
// page that says to start again.
func (s *Server) progress(r *http.Request, entry *logEntry, handle string) (storage.Progress, error) {
	_, browser := s.cookie(r, cookieBrowser)
	_, session := s.cookie(r, cookieSession)
	if handle == "" || len(handle) > maxCookie || browser == [32]byte{} {
		return storage.Progress{}, startAgain(errors.New("no interaction, or no cookie of its browser"))
	}
	p, err := s.cfg.Store.Progress(r.Context(), sha256.Sum256([]byte(handle)), session, entry.start)
	if errors.Is(err, storage.ErrNotFound) {
		return storage.Progress{}, startAgain(err)
	}
	if err != nil {
		return storage.Progress{}, err
	}
	entry.clientID, entry.subject = p.ClientID, p.User.ID
	if subtle.ConstantTimeCompare(browser[:], p.Browser[:]) != 1 {
		return storage.Progress{}, startAgain(errors.New("the interaction of another browser"))
	}
	return p, nil
}

// resume is the path of the dispatcher, which decides the interaction's next
// step; every step returns to it and to nothing else.
func (s *Server) resume(handle string) string { return s.pageOf(pathConsent, handle) }

// pageOf is the path of a page that is about an interaction.
func (s *Server) pageOf(path, handle string) string {
	return s.issuer.EscapedPath() + path + "?interaction=" + url.QueryEscape(handle)
}

// needsSignIn reports whether the person has to sign in (again) before the
// interaction can go on: nobody is signed in, someone else than who signed in
// for it, or not as recently as the client demands. A sign-in after the
// interaction began is always recent enough.
func needsSignIn(p storage.Progress) bool {
	if p.SignedIn.Hash == [32]byte{} {
		return true
	}
	if p.Session != [32]byte{} && p.Session != p.SignedIn.Hash {
		return true
	}
	if slices.Contains(p.Prompt, promptLogin) || slices.Contains(p.Prompt, promptSelectAccount) {
		return p.SignedIn.AuthTime.Before(p.CreatedAt)
	}
	return p.MaxAge >= 0 && p.SignedIn.AuthTime.Before(p.CreatedAt.Add(-p.MaxAge))
}

// clientOnPage is c as a person sees it who is about to be sent to redirectURI
// (empty: nowhere).
func (s *Server) clientOnPage(c *client, redirectURI string) web.Client {
	shown := web.Client{
		Name: c.Name, Logo: s.logo(c), URI: c.ClientURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI,
		Verified: c.Registration != storage.RegisteredDynamically,
	}
	if shown.Name == "" {
		shown.Name = c.ID
	}
	if c.Registration == storage.RegisteredByDocument {
		shown.Host = hostOf(c.ID)
	}
	if redirectURI != "" {
		_, _, shown.Loopback = loopbackURI(redirectURI)
		shown.RedirectHost = hostOf(redirectURI)
	}
	return shown
}

// hostOf is the host of a URL with its port, in ASCII: what is not is escaped,
// so that a name cannot look like another.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	host := u.Host
	if host == "" {
		host = u.Scheme + ":" // an app of this device
	}
	quoted := strconv.QuoteToASCII(host)
	return quoted[1 : len(quoted)-1]
}
