package authserver

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/passkey"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	// maxPasskeys bounds the passkeys of one person; all of them travel in the
	// options of the next one.
	maxPasskeys    = 30
	maxPasskeyName = 64 // characters, as in the form
)

// addPasskey stores the passkey that the page's script has made.
func (s *Server) addPasskey(_ http.ResponseWriter, r *http.Request, o owner) (url.Values, error) {
	ctx := r.Context()
	existing, err := s.cfg.Store.Passkeys(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	if len(existing) >= maxPasskeys {
		return nil, refuseStep(http.StatusConflict, "You have as many passkeys as there can be. Remove one first.")
	}
	made, err := s.newPasskey(r, o.User, o.form.get("credential"), o.entry.start)
	if errors.Is(err, passkey.ErrRefused) {
		s.cfg.SecurityLog.WarnContext(ctx, "passkey refused", "request_id", o.entry.requestID, "subject", o.ID, "cause", err, "remote_addr", r.RemoteAddr)
		return nil, refuseStep(http.StatusUnprocessableEntity, "The passkey was not accepted, so it was not added. Try again.")
	}
	if err != nil {
		return nil, err
	}
	made.Name = passkeyCalled(o.form.get("name"))
	err = s.cfg.Store.CreatePasskey(ctx, made)
	if errors.Is(err, storage.ErrExists) {
		return nil, refuseStep(http.StatusConflict, "This passkey was added already.")
	}
	if err != nil {
		return nil, err
	}
	s.cfg.SecurityLog.InfoContext(ctx, "passkey added", "request_id", o.entry.requestID, "subject", o.ID, "passkey", passkeyName(made), "remote_addr", r.RemoteAddr)
	return done("passkey_added"), nil
}

// passkeyCalled is how its owner calls a new passkey.
func passkeyCalled(typed string) string {
	name := []rune(strings.TrimSpace(typed))
	return cmp.Or(strings.TrimSpace(string(name[:min(len(name), maxPasskeyName)])), "Passkey")
}
