package authserver

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

// A browser has two cookies. The first names the browser itself: it binds an
// authorization request to the browser that began it, and lets people who
// signed in here before be told from strangers who guess. The second is the
// session of whoever is signed in, and is new with every sign-in.
const (
	cookieBrowser = "browser"
	cookieSession = "session"

	browserLifetime = 400 * 24 * time.Hour // what browsers allow at most
)

// maxCookie bounds what is looked at as a cookie of ours.
const maxCookie = 64

// cookieName returns the name of a cookie: bound to this very host by its
// prefix (RFC 6265bis §4.1.3.2), except on the plain http that only loopback
// issuers have. Issuers that share a host by path have cookies of their own.
func (s *Server) cookieName(kind string) string {
	name := "gatehouse-" + kind
	if s.issuer.Path != "" {
		sum := sha256.Sum256([]byte(s.cfg.Issuer))
		name += "-" + base64.RawURLEncoding.EncodeToString(sum[:6])
	}
	if s.secure() {
		return "__Host-" + name
	}
	return name
}

// secure reports whether people reach the server by https.
func (s *Server) secure() bool { return s.issuer.Scheme == "https" }

// setCookie sets a cookie of ours; an empty value removes it.
func (s *Server) setCookie(w http.ResponseWriter, kind, value string, lifetime time.Duration) {
	maxAge := int(lifetime / time.Second)
	if value == "" {
		maxAge = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure but for the plain http of loopback issuers
		Name: s.cookieName(kind), Value: value, Path: "/", MaxAge: maxAge,
		Secure: s.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// cookie returns a cookie of ours and its SHA-256, by which the store knows
// it; both are zero without one. A repeated cookie is none: one of them was
// planted.
func (s *Server) cookie(r *http.Request, kind string) (value string, hash [32]byte) {
	found := r.CookiesNamed(s.cookieName(kind))
	if len(found) != 1 || found[0].Value == "" || len(found[0].Value) > maxCookie {
		return "", hash
	}
	return found[0].Value, sha256.Sum256([]byte(found[0].Value))
}

// browser returns the SHA-256 of the browser's cookie and sets one if it has
// none yet.
func (s *Server) browser(w http.ResponseWriter, r *http.Request) [32]byte {
	value, hash := s.cookie(r, cookieBrowser)
	if value == "" {
		value, hash = sealed.NewHandle()
		s.setCookie(w, cookieBrowser, value, browserLifetime)
	}
	return hash
}

// signedIn returns the session of the request's browser and its user;
// storage.ErrNotFound when nobody is signed in.
func (s *Server) signedIn(r *http.Request, entry *logEntry) (storage.Session, storage.User, error) {
	_, hash := s.cookie(r, cookieSession)
	if hash == [32]byte{} {
		return storage.Session{}, storage.User{}, storage.ErrNotFound
	}
	session, user, err := s.cfg.Store.Session(r.Context(), hash, entry.start)
	if err == nil {
		entry.subject = user.ID
	}
	return session, user, err
}

// sameOrigin refuses forms that another page sent (Fetch Metadata, and Origin
// for browsers that have none). Every POST of a page passes it; requests that
// no browser made have neither header and no cookies that they did not bring
// themselves.
func (s *Server) sameOrigin(r *http.Request) error {
	cause := errors.New("form from another origin")
	refused := &oauthError{status: http.StatusForbidden, code: codeAccessDenied, description: "The form was sent from another page.", cause: cause}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "same-origin":
	default:
		return refused
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != s.origin() {
		return refused
	}
	return nil
}

// fromOurPages is sameOrigin before an endpoint.
func (s *Server) fromOurPages(serve endpointFunc) endpointFunc {
	return func(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
		if err := s.sameOrigin(r); err != nil {
			return err
		}
		return serve(w, r, entry)
	}
}

// origin is the issuer's origin as browsers write it (RFC 6454 §6.1).
func (s *Server) origin() string { return s.issuer.Scheme + "://" + s.issuer.Host }
