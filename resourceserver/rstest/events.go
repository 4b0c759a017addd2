package rstest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Event types of the revocation feed.
const (
	TokenRevoked  = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"
	TokensRevoked = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked"
	KeyRetired    = "https://github.com/gatehouse-mcp/gatehouse/event-type/key-retired"
)

type event struct{ id, set string }

// Poll is a request of the revocation feed (RFC 8936 §2.2).
type Poll struct {
	MaxEvents         int                       `json:"maxEvents"`
	ReturnImmediately bool                      `json:"returnImmediately"`
	Ack               []string                  `json:"ack"`
	Errors            map[string]map[string]any `json:"setErrs"`
	Cursor            string                    `json:"cursor"`
}

// RevokeToken revokes an access token by its jti, an opaque one by its
// [TokenHash]. It returns the jti of the event, as the other Revoke functions
// do.
func (i *Issuer) RevokeToken(jti string) string {
	return i.Emit(TokenRevoked, Claims{"jti": jti, "exp": time.Now().Add(time.Hour).Unix()})
}

// RevokeBefore revokes the tokens of what name ("grant", "client_id" or "sub")
// and value say, or all if name is empty, that were issued at or before t.
func (i *Issuer) RevokeBefore(name, value string, t time.Time) string {
	body := Claims{"issued_before": t.Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	if name != "" {
		body[name] = value
	}
	return i.Emit(TokensRevoked, body)
}

// TellRetired tells that a signing key was withdrawn; it stays published.
func (i *Issuer) TellRetired(kid string) string {
	return i.Emit(KeyRetired, Claims{"kid": kid, "exp": time.Now().Add(time.Hour).Unix()})
}

// Emit adds an event of that type to the feed.
func (i *Issuer) Emit(eventType string, body Claims) string {
	id := rand.Text()
	set := i.Sign(map[string]any{"typ": "secevent+jwt"}, Claims{
		"iss": i.URL, "aud": []string{ClientID}, "jti": id, "iat": time.Now().Unix(),
		"events": map[string]any{eventType: body},
	})
	i.EmitSET(id, set)
	return id
}

// EmitSET adds a security event token to the feed as it is.
func (i *Issuer) EmitSET(id, set string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.events = append(i.events, event{id, set})
	close(i.changed)
	i.changed = make(chan struct{})
}

// Withdraw removes an event from the feed. A cursor beyond what is left is
// answered with 400, as by an issuer that has lost its state.
func (i *Issuer) Withdraw(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.events = slices.DeleteFunc(i.events, func(e event) bool { return e.id == id })
}

// Polls returns the polls received so far.
func (i *Issuer) Polls() []Poll {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.polls)
}

// poll answers with the events after the cursor that are not acknowledged. The
// cursor it returns lags behind by the events of the answer.
func (i *Issuer) poll(w http.ResponseWriter, r *http.Request) {
	var request Poll
	if !authenticated(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if json.NewDecoder(r.Body).Decode(&request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	i.polls = append(i.polls, request)
	hold := i.hold
	i.mu.Unlock()
	deadline := time.After(hold)
	for i.knows(request.Cursor) {
		sets, cursor, more, changed := i.pending(request)
		if len(sets) > 0 || request.ReturnImmediately {
			answer(w, map[string]any{"sets": sets, "moreAvailable": more, "cursor": cursor})
			return
		}
		select {
		case <-changed:
		case <-deadline:
			request.ReturnImmediately = true
		case <-r.Context().Done():
			return
		}
	}
	w.WriteHeader(http.StatusBadRequest)
}

func (i *Issuer) knows(cursor string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	at, err := strconv.Atoi(cursor)
	return cursor == "" || err == nil && at <= len(i.events)
}

func (i *Issuer) pending(request Poll) (sets map[string]string, cursor string, more bool, changed <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	sets = map[string]string{}
	after, _ := strconv.Atoi(request.Cursor)
	covered := true
	for _, e := range i.events[min(after, len(i.events)):] {
		acknowledged := slices.Contains(request.Ack, e.id)
		if covered = covered && acknowledged; covered {
			after++
		}
		if acknowledged {
			continue
		}
		if len(sets) == request.MaxEvents {
			more = true
			break
		}
		sets[e.id] = e.set
	}
	return sets, strconv.Itoa(after), more, i.changed
}
