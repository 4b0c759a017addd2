package authserver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// adminPatience bounds an operator's revocation, which goes on when the operator
// hangs up: it must not end half done.
const adminPatience = 30 * time.Second

// adminRevoke is the emergency revocation. When it has answered, the revocation
// is durable, in force at this server and, as far as they are connected to it,
// at the resource servers; all others learn of it within a second. The token
// that it was asked with may be among those that are revoked.
func (s *Server) adminRevoke(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	event, err := readRevocation(body, entry.start)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), adminPatience)
	defer cancel()
	if event.Kind == storage.EventSubjectRevoked {
		if event.Target, err = Sub(ctx, s.cfg.Store, event.Target); err != nil {
			return err
		}
	}
	known, err := Known(ctx, s.cfg.Store, event)
	if err != nil {
		return err
	}
	if event, err = Revoke(ctx, s.cfg.Store, event); err != nil {
		return err
	}
	s.cfg.SecurityLog.WarnContext(ctx, "revoked by an operator", "request_id", entry.requestID, "client_id", entry.clientID,
		"kind", event.Kind, "target", event.Target, "remote_addr", r.RemoteAddr)
	if err := s.log.follow(ctx, event.Kind, event.Target); err != nil {
		return err
	}
	answer := NewRevoked(event)
	answer.Known = &known
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// readRevocation reads an object with exactly one member, named exactly. What
// cannot be understood must not revoke something else.
func readRevocation(body []byte, now time.Time) (storage.Event, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil { // also if a name occurs twice
		return storage.Event{}, invalidRequest("The body is not a JSON object.").because(err)
	}
	if len(members) != 1 {
		return storage.Event{}, notOneTarget()
	}
	for name, raw := range members {
		if name == "all" {
			if string(raw) != "true" {
				return storage.Event{}, invalidRequest("all can only be true.")
			}
			return BroadRevocation(storage.EventAllRevoked, "", now), nil
		}
		var value string
		if err := json.Unmarshal(raw, &value); err != nil || value == "" || len(value) > maxTokenBytes || !clean(value) {
			return storage.Event{}, notOneTarget()
		}
		switch name {
		case "token":
			return readTokenRevocation(value, now)
		case "grant":
			return BroadRevocation(storage.EventGrantRevoked, value, now), nil
		case "client":
			return BroadRevocation(storage.EventClientRevoked, value, now), nil
		case "user":
			return BroadRevocation(storage.EventSubjectRevoked, value, now), nil
		}
	}
	return storage.Event{}, notOneTarget()
}

func notOneTarget() error {
	return invalidRequest("Send exactly one of token, grant, client and user with a string, or all with true.")
}

func readTokenRevocation(token string, now time.Time) (storage.Event, error) {
	event, err := TokenRevocation(token, now)
	switch {
	case errors.Is(err, ErrNothingToRevoke):
		return event, invalidRequest("The token has expired: there is nothing to revoke.").because(err)
	case err != nil:
		return event, invalidRequest("The token is not an access token of this server.").because(err)
	}
	return event, nil
}
