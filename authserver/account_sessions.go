package authserver

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// otherSessions stands for all sessions but the one that asks.
const otherSessions = "others"

// fillSessions lists the browsers in which the user is signed in.
func (s *Server) fillSessions(_ http.ResponseWriter, r *http.Request, o owner, page *web.Account) error {
	sessions, err := s.cfg.Store.Sessions(r.Context(), o.ID, o.entry.start)
	if err != nil {
		return err
	}
	for _, session := range sessions {
		shown := web.Browser{
			Session: whom(session), Name: programName(session.UserAgent), Address: session.Address,
			CreatedAt: session.CreatedAt, LastSeen: session.LastSeenAt, Current: session.Hash == o.session.Hash,
		}
		if shown.Name == "" {
			shown.Name = "An unknown browser"
		}
		page.Browsers = append(page.Browsers, shown)
	}
	return nil
}

// endSession signs the user out of one browser, or of all others.
func (s *Server) endSession(_ http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	ctx, named := r.Context(), o.form.get("session")
	if named == otherSessions {
		if err := s.cfg.Store.DeleteSessions(ctx, o.ID, o.session.Hash); err != nil {
			return nil, err
		}
		s.cfg.SecurityLog.InfoContext(ctx, "other sessions ended", "request_id", o.entry.requestID, "subject", o.ID)
		return done("others_signed_out"), nil
	}
	sessions, err := s.cfg.Store.Sessions(ctx, o.ID, o.entry.start)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(sessions, func(session storage.Session) bool { return whom(session) == named })
	if i < 0 {
		return nil, storage.ErrNotFound
	}
	if err := s.cfg.Store.DeleteSession(ctx, o.ID, sessions[i].Hash); err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.InfoContext(ctx, "session ended", "request_id", o.entry.requestID, "subject", o.ID)
	return done("signed_out"), nil
}
