package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-mcp/gatehouse/scopes"
	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/web"
)

// undoWindow is how long a disconnected app can be connected again by its user.
const undoWindow = 30 * time.Second

// revokedByUser is the reason of a disconnection by the user, see
// [storage.Grant].
const revokedByUser = "user"

// fillApps lists the user's grants: each is one installation of an app.
func (s *Server) fillApps(_ http.ResponseWriter, r *http.Request, o owner, page *web.Account) error {
	grants, err := s.cfg.Store.ListGrants(r.Context(), o.ID, o.entry.start)
	if err != nil {
		return err
	}
	known := map[string]web.Client{}
	for _, g := range grants {
		app, err := s.connectedApp(r.Context(), g, known)
		if err != nil {
			return err
		}
		page.Apps = append(page.Apps, app)
	}
	page.Disconnected, err = s.disconnected(r, o, known)
	return err
}

// connectedApp is a grant as its user sees it. known are the clients seen so
// far, by client_id.
func (s *Server) connectedApp(ctx context.Context, g storage.Grant, known map[string]web.Client) (web.App, error) {
	if _, seen := known[g.ClientID]; !seen {
		shown, err := s.clientOnCard(ctx, g.ClientID)
		if err != nil {
			return web.App{}, err
		}
		known[g.ClientID] = shown
	}
	granted := scopes.Of(g.Scopes...)
	app := web.App{
		Grant: g.ID, Client: known[g.ClientID], Device: programName(g.Device), Resource: hostOf(g.Audience),
		ConnectedAt: g.CreatedAt, LastUsedAt: g.LastUsedAt, Permissions: s.permissions(granted, granted, granted),
	}
	for i, p := range app.Permissions {
		if p.Scope == scopeOffline {
			app.Permissions[i].Required, app.Permissions[i].Reason = true, "It ends when you disconnect the app."
		}
	}
	return app, nil
}

// clientOnCard is a client as the store knows it: nobody waits here for the
// host of its document, and one that is disabled or gone can still be
// disconnected.
func (s *Server) clientOnCard(ctx context.Context, id string) (web.Client, error) {
	record, err := s.cfg.Store.Client(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return web.Client{Name: id}, nil
	}
	if err != nil {
		return web.Client{}, err
	}
	var redirectURI string
	if len(record.RedirectURIs) > 0 {
		redirectURI = record.RedirectURIs[0]
	}
	return s.clientOnPage(s.clients.prepare(record), redirectURI), nil
}

// disconnected is the app that was disconnected just now, while that can be
// undone.
func (s *Server) disconnected(r *http.Request, o owner, known map[string]web.Client) (*web.App, error) {
	id := r.URL.Query().Get("disconnected")
	if id == "" || r.Method == http.MethodPost {
		return nil, nil
	}
	g, err := s.ownGrant(r.Context(), o, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil || g.RevokeReason != revokedByUser || g.RevokedAt.Before(o.entry.start.Add(-undoWindow)) {
		return nil, err
	}
	app, err := s.connectedApp(r.Context(), g, known)
	return &app, err
}

// ownGrant is the grant of that id if it is the owner's.
func (s *Server) ownGrant(ctx context.Context, o owner, id string) (storage.Grant, error) {
	if id == "" || len(id) > maxCookie || !clean(id) {
		return storage.Grant{}, storage.ErrNotFound
	}
	g, err := s.cfg.Store.Grant(ctx, id)
	if err == nil && g.UserID != o.ID {
		err = storage.ErrNotFound
	}
	return g, err
}

// disconnect ends a grant and every token of it.
func (s *Server) disconnect(_ http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	ctx, now := r.Context(), o.entry.start
	g, err := s.ownGrant(ctx, o, o.form.get("grant"))
	if err != nil {
		return nil, err
	}
	event := grantCut(g, now)
	if err := s.cfg.Store.RevokeGrant(ctx, g.ID, o.ID, revokedByUser, event, now); err != nil {
		return nil, err
	}
	if err := s.enforceCut(ctx, o.entry, g, event); err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.InfoContext(ctx, "grant revoked", "request_id", o.entry.requestID, "client_id", g.ClientID, "grant", g.ID, "subject", o.ID)
	if !g.Refresh { // without refresh tokens nothing would come back
		return done("disconnected"), nil
	}
	return url.Values{"disconnected": {g.ID}}, nil
}

// restore takes a disconnection back. The app goes on with its refresh token;
// the access tokens that it had stay dead.
func (s *Server) restore(_ http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	ctx := r.Context()
	g, err := s.ownGrant(ctx, o, o.form.get("grant"))
	if err == nil {
		err = s.cfg.Store.RestoreGrant(ctx, g.ID, o.ID, o.entry.start.Add(-undoWindow))
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil, refuseStep(http.StatusNotFound, "That cannot be undone any more. Connect the app again from where you use it.")
	}
	if err != nil {
		return nil, err
	}
	o.entry.grantID, o.entry.clientID = g.ID, g.ClientID
	s.cfg.SecurityLog.InfoContext(ctx, "grant restored", "request_id", o.entry.requestID, "client_id", g.ClientID, "grant", g.ID, "subject", o.ID)
	return done("restored"), nil
}

// narrow takes permissions from a grant. Tokens with more end at once; the next
// refresh gets one with less.
func (s *Server) narrow(_ http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	ctx := r.Context()
	g, err := s.ownGrant(ctx, o, o.form.get("grant"))
	if err != nil {
		return nil, err
	}
	had := scopes.Of(g.Scopes...)
	kept := scopes.Of(o.form.form["scope"]...).Union(scopes.Of(scopeOpenID, scopeOffline)).Intersect(had)
	switch {
	case len(kept) == len(had):
		return done("same"), nil
	case len(kept.Minus(identityScopes())) == 0 && len(had.Minus(identityScopes())) > 0, meaningless(kept):
		return nil, refuseStep(http.StatusUnprocessableEntity, "At least one permission must stay. To take all of them away, disconnect the app.")
	case len(s.cfg.Scopes.Expand(kept).Intersect(had.Minus(kept))) > 0:
		return nil, refuseStep(http.StatusUnprocessableEntity, "A permission that you kept includes one that you took away. Take both away, or neither.")
	}
	event, err := s.cutThisSecond(ctx, g, o.entry.start)
	if err != nil {
		return nil, err
	}
	err = s.cfg.Store.NarrowGrant(ctx, g.ID, o.ID, kept, event, time.Now())
	if errors.Is(err, storage.ErrScope) {
		return nil, storage.ErrConflict // narrowed in another tab
	}
	if err != nil {
		return nil, err
	}
	if err := s.enforceCut(ctx, o.entry, g, event); err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.InfoContext(ctx, "grant narrowed", "request_id", o.entry.requestID, "client_id", g.ClientID, "grant", g.ID,
		"subject", o.ID, "scope", kept.String(), "before", had.String())
	return done("narrowed"), nil
}

// grantCut is the event that ends the tokens that a grant has so far and none
// that it gets later: it goes on, or its user may have it go on.
func grantCut(g storage.Grant, now time.Time) storage.Event {
	event := grantRevocation(g.ID, []string{g.Audience}, now)
	event.IssuedBefore = now
	return event
}

// cutThisSecond returns the cut at now when its second is over. Tokens tell in
// whole seconds when they were issued, and the one that the app gets right after
// the cut must not look as if it were from before.
func (s *Server) cutThisSecond(ctx context.Context, g storage.Grant, now time.Time) (storage.Event, error) {
	over := time.NewTimer(time.Until(now.Truncate(time.Second).Add(time.Second)))
	defer over.Stop()
	select {
	case <-over.C:
		return grantCut(g, now), nil
	case <-ctx.Done():
		return storage.Event{}, ctx.Err()
	}
}

// enforceCut brings a cut into force here and at the resource servers. Tokens of
// requests that began after it and were faster than its statement end with
// another one: the grant knows when it was used last.
func (s *Server) enforceCut(ctx context.Context, entry *logEntry, g storage.Grant, cut storage.Event) error {
	entry.grantID, entry.clientID = g.ID, g.ClientID
	s.catchUp(ctx, entry)
	after, err := s.cfg.Store.Grant(ctx, g.ID)
	if err != nil {
		return err
	}
	if !after.LastUsedAt.Truncate(time.Second).After(cut.IssuedBefore) {
		return nil
	}
	return s.log.append(ctx, grantCut(g, after.LastUsedAt))
}
