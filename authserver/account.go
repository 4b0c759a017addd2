package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// Sections of the account page and their paths below the issuer.
const (
	sectionApps     = "apps"
	sectionSessions = "sessions"
	sectionSecurity = "security"

	pathAccountSessions = pathAccount + "/" + sectionSessions
	pathAccountSecurity = pathAccount + "/" + sectionSecurity
)

func sectionPath(section string) string {
	switch section {
	case sectionSessions:
		return pathAccountSessions
	case sectionSecurity:
		return pathAccountSecurity
	default:
		return pathAccount
	}
}

// accountActions are where the forms of the account page go.
func accountActions() web.AccountActions {
	return web.AccountActions{
		Apps: pathAccount, Sessions: pathAccountSessions, Security: pathAccountSecurity, SignOut: pathLogout,
		Disconnect:         pathAccount + "/disconnect",
		Restore:            pathAccount + "/restore",
		Narrow:             pathAccount + "/narrow",
		EndSession:         pathAccountSessions + "/end",
		AddPasskey:         pathAccountSecurity + "/passkeys",
		RemovePasskey:      pathAccountSecurity + "/passkeys/remove",
		SetPassword:        pathAccountSecurity + "/password",
		BeginSecondFactor:  pathSetUpSecondFactor + "/begin",
		RemoveSecondFactor: pathSetUpSecondFactor + "/remove",
		RecoveryCodes:      pathAccountSecurity + "/recovery-codes",
	}
}

// accountRoutes are the pages of a person's own account and what their forms do.
func (s *Server) accountRoutes() []route {
	var routes []route
	show := func(path, name string, serve ownerFunc) {
		routes = append(routes, route{http.MethodGet, path, name, 0, false, false, s.owned(serve)})
	}
	change := func(path, name string, serve ownerFunc) {
		routes = append(routes, route{http.MethodPost, path, name, maxFormBytes, false, false, s.owned(serve)})
	}
	show(pathAccount, "page_account", s.accountSection(sectionApps))
	show(pathAccountSessions, "page_account_sessions", s.accountSection(sectionSessions))
	show(pathAccountSecurity, "page_account_security", s.accountSection(sectionSecurity))
	show(pathSetUpSecondFactor, "page_account_second_factor", s.recently(s.enrollPage))

	to := accountActions()
	change(to.Disconnect, "page_account_disconnect", s.taking(sectionApps, s.disconnect))
	change(to.Restore, "page_account_restore", s.taking(sectionApps, s.restore))
	change(to.Narrow, "page_account_narrow", s.taking(sectionApps, s.narrow))
	change(to.EndSession, "page_account_end_session", s.taking(sectionSessions, s.endSession))
	for _, at := range []struct {
		path, name string
		step       stepFunc
	}{
		{to.AddPasskey, "page_account_add_passkey", s.addPasskey},
		{to.RemovePasskey, "page_account_remove_passkey", s.removePasskey},
		{to.SetPassword, "page_account_password", s.setPassword},
		{to.BeginSecondFactor, "page_account_begin_second_factor", s.beginEnrollment},
		{to.RemoveSecondFactor, "page_account_remove_second_factor", s.removeSecondFactor},
		{to.RecoveryCodes, "page_account_recovery_codes", s.renewRecoveryCodes},
		{pathSetUpSecondFactor, "page_account_second_factor", s.enroll},
	} {
		change(at.path, at.name, s.recently(s.taking(sectionSecurity, at.step)))
	}
	return routes
}

// owner is somebody at their own account, and the request they make.
type owner struct {
	storage.User
	session storage.Session
	form    params // of a POST
	entry   *logEntry
}

// ownerFunc is an endpoint for somebody who is signed in.
type ownerFunc func(w http.ResponseWriter, r *http.Request, o owner) error

// stepFunc changes something of the owner's. It returns the query of the
// section's page that tells so, or none when it has answered by itself. A
// setback is told on the section's page.
type stepFunc func(w http.ResponseWriter, r *http.Request, o owner) (query url.Values, err error)

// owned is the way into the account: who is not signed in is asked to.
func (s *Server) owned(serve ownerFunc) endpointFunc {
	return func(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
		session, user, err := s.signedIn(r, entry)
		if errors.Is(err, storage.ErrNotFound) {
			return seeOther(w, s.issuer.EscapedPath()+pathLogin+"?return=account")
		}
		if err != nil {
			return err
		}
		if err := s.touch(r.Context(), session, entry.start); err != nil {
			return err
		}
		o := owner{User: user, session: session, entry: entry}
		if r.Method == http.MethodPost {
			if o.form, err = parseParams(r, "scope"); err != nil {
				return err
			}
		}
		return serve(w, r, o)
	}
}

// setback is why a step was not taken, in words for the owner.
type setback struct {
	status  int
	problem web.Problem
}

func (e *setback) Error() string { return e.problem.Text }

func refuseStep(status int, text string) *setback {
	return &setback{status, web.Problem{Text: text}}
}

// taking answers a POST with where to see what it did (RFC 9700 §4.12), or with
// the section and what stood in the way.
func (s *Server) taking(section string, take stepFunc) ownerFunc {
	return func(w http.ResponseWriter, r *http.Request, o owner) error {
		query, err := take(w, r, o)
		told, hindered := errors.AsType[*setback](err)
		switch {
		case hindered:
		case errors.Is(err, storage.ErrNotFound):
			told = refuseStep(http.StatusNotFound, "That is gone already, nothing was changed. This is what you have now.")
		case errors.Is(err, storage.ErrConflict):
			told = refuseStep(http.StatusConflict, "Your account was changed somewhere else at the same moment. Look at it again; nothing was changed here.")
		case err != nil || query == nil:
			return err
		default:
			return seeOther(w, s.issuer.EscapedPath()+sectionPath(section)+"?"+query.Encode())
		}
		if told.problem.Wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(told.problem.Wait))
		}
		return s.accountPage(w, r, o, section, told)
	}
}

// accountSection answers with a section of the account.
func (s *Server) accountSection(section string) ownerFunc {
	return func(w http.ResponseWriter, r *http.Request, o owner) error {
		return s.accountPage(w, r, o, section, &setback{status: http.StatusOK})
	}
}

// accountPage answers with a section as it is now, and with what stood in the
// way of a step.
func (s *Server) accountPage(w http.ResponseWriter, r *http.Request, o owner, section string, told *setback) error {
	page := web.Account{
		Section: section, Username: o.Username, Name: o.Name, Now: o.entry.start,
		Actions: accountActions(), Done: doneSentence(r), Problem: told.problem,
	}
	fill := s.fillApps
	switch section {
	case sectionSessions:
		fill = s.fillSessions
	case sectionSecurity:
		fill = s.fillSecurity
	}
	if err := fill(w, r, o, &page); err != nil {
		return err
	}
	document, err := s.pages.Account(page)
	return writePage(w, told.status, document, err)
}

// done is the query that has a section say what was done.
func done(code string) url.Values { return url.Values{"done": {code}} }

// doneSentence is what has just been done. A link from elsewhere cannot claim
// that anything was.
func doneSentence(r *http.Request) string {
	if site := r.Header.Get("Sec-Fetch-Site"); r.Method == http.MethodPost || (site != "" && site != "same-origin") {
		return ""
	}
	switch r.URL.Query().Get("done") {
	case "disconnected":
		return "The app is disconnected."
	case "restored":
		return "The app is connected again."
	case "narrowed":
		return "The app may do less now."
	case "same":
		return "Nothing was changed."
	case "signed_out":
		return "That browser is signed out."
	case "others_signed_out":
		return "All other browsers are signed out."
	case "password":
		return "Your new password is set, and all other browsers are signed out."
	case "second_factor_off":
		return "The second step is off."
	case "passkey_added":
		return "The passkey is ready to use."
	case "passkey_removed":
		return "The passkey is removed. You can delete it from your device, too."
	}
	return ""
}
