package authserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

const (
	// feedHold is how long a poll without news is held open.
	feedHold     = 15 * time.Second
	feedMaxSets  = 1000
	maxFeedBytes = 1 << 20
	maxReceiver  = 128
	maxAcks      = 1 << 14 // what is beyond is sent again, which does no harm
	maxEventID   = 40      // bytes; ours have fewer
)

// pollRequest is RFC 8936 §2.2 with two members of ours, so that no state about a
// receiver need be kept: cursor, as the last answer gave it, says what the
// receiver has for certain, and ack what it has besides. receiver tells
// several processes with one client apart.
type pollRequest struct {
	MaxEvents         *int                       `json:"maxEvents"`
	ReturnImmediately bool                       `json:"returnImmediately"`
	Ack               []string                   `json:"ack"`
	SetErrs           map[string]json.RawMessage `json:"setErrs"`
	Cursor            string                     `json:"cursor"`
	Receiver          string                     `json:"receiver"`
}

// pollResponse is RFC 8936 §2.3 with the cursor to send next.
type pollResponse struct {
	Sets          map[string]string `json:"sets"`
	MoreAvailable bool              `json:"moreAvailable,omitempty"`
	Cursor        string            `json:"cursor"`
}

// feed is the poll endpoint (RFC 8936) at which a resource server learns of
// revocations that concern its audiences.
func (s *Server) feed(w http.ResponseWriter, r *http.Request, entry *logEntry) error {
	c, err := s.authenticateConfidential(r.Context(), r, params{})
	if err != nil {
		return err
	}
	if !c.Introspect {
		return &oauthError{status: http.StatusForbidden, code: codeAccessDenied, description: "The client may not follow revocations."}
	}
	poll, err := readPoll(r)
	if err != nil {
		return err
	}
	if len(poll.SetErrs) > 0 {
		s.cfg.Logger.Warn("resource server refused security event tokens", "client_id", c.ID, "count", len(poll.SetErrs))
	}
	confirmed := poll.confirmed()
	poll.Ack, poll.SetErrs = nil, nil // a held poll keeps no more than it needs
	if err := s.log.fresh(entry.start); err != nil {
		return err
	}
	id := receiverID{c.ID, poll.Receiver}
	receiver := s.log.arrive(id, c, confirmed, poll.Cursor)
	defer func() { s.log.depart(id, receiver, r.Context().Err() != nil, time.Now()) }()

	hold := time.NewTimer(feedHold)
	defer hold.Stop()
	for {
		batch := s.log.after(poll.Cursor, confirmed, c, *poll.MaxEvents, time.Now())
		if len(batch.events) > 0 || poll.ReturnImmediately || *poll.MaxEvents == 0 {
			return s.writeSets(w, c, batch, entry)
		}
		select {
		case <-batch.changed:
		case <-hold.C:
			// No news is good news only from a log that could be read.
			if err := s.log.fresh(time.Now()); err != nil {
				return err
			}
			return s.writeSets(w, c, batch, entry)
		case <-s.stopping:
			return s.writeSets(w, c, batch, entry)
		case <-r.Context().Done():
			return unavailable(r.Context().Err())
		}
	}
}

// readPoll reads the request.
func readPoll(r *http.Request) (poll pollRequest, err error) {
	body, err := readBody(r)
	if err != nil {
		return poll, err
	}
	if err := json.Unmarshal(body, &poll); err != nil {
		return poll, invalidRequest("The body is not a poll request (RFC 8936).").because(err)
	}
	if seq, ok := cursorSeq(poll.Cursor); !ok || seq < 0 {
		return poll, invalidRequest("The cursor is not one of this server.")
	}
	if len(poll.Receiver) > maxReceiver {
		return poll, invalidRequest("The receiver is too long.")
	}
	limit := feedMaxSets
	if poll.MaxEvents != nil {
		limit = max(0, min(*poll.MaxEvents, feedMaxSets))
	}
	poll.MaxEvents = &limit
	return poll, nil
}

// confirmed returns the acknowledged events.
func (p *pollRequest) confirmed() map[string]struct{} {
	acks := p.Ack[:min(len(p.Ack), maxAcks)]
	confirmed := make(map[string]struct{}, len(acks))
	for _, jti := range acks {
		if len(jti) <= maxEventID {
			confirmed[jti] = struct{}{}
		}
	}
	return confirmed
}

// cursorSeq returns the sequence number of a cursor, 0 if it is empty. After a
// dot it has the id of the last event in force up to there, if there is one: by
// it a log is known that was restored from a backup and has gone on differently.
func cursorSeq(cursor string) (seq int64, ok bool) {
	if cursor == "" {
		return 0, true
	}
	number, _, _ := strings.Cut(cursor, ".")
	seq, err := strconv.ParseInt(number, 10, 64)
	return seq, err == nil
}

// cursorAt returns the cursor of a receiver that has every event up to seq.
func (l *eventLog) cursorAt(seq int64, now time.Time) string {
	cursor := strconv.FormatInt(seq, 10)
	for _, e := range slices.Backward(l.events[:l.position(seq+1)]) {
		if now.Before(e.ExpiresAt) {
			return cursor + "." + e.id
		}
	}
	return cursor
}

// has returns up to which event the receiver with that cursor has all: none if
// the cursor is not of this log, or if the event that it names has expired.
func (l *eventLog) has(cursor string, now time.Time) int64 {
	seq, ok := cursorSeq(cursor)
	if !ok || seq > l.newest || cursor != l.cursorAt(seq, now) {
		return 0
	}
	return seq
}

// feedBatch is what a receiver lacks.
type feedBatch struct {
	events  []revocation
	more    bool
	cursor  string
	changed <-chan struct{} // closed when there is more
}

// after returns at most limit revocations that concern c, come after cursor and
// are not confirmed.
func (l *eventLog) after(cursor string, confirmed map[string]struct{}, c *client, limit int, now time.Time) feedBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.has(cursor, now)
	upTo := max(from, l.cursor)
	batch := feedBatch{changed: l.changed}
	for _, e := range l.events[l.position(from+1):] {
		if _, has := confirmed[e.id]; has || !now.Before(e.ExpiresAt) || !e.concerns(c) {
			continue
		}
		if len(batch.events) == limit {
			// What comes after the last delivered event is still missing.
			batch.more, upTo = true, min(upTo, e.Seq-1)
			break
		}
		batch.events = append(batch.events, e)
	}
	batch.cursor = l.cursorAt(upTo, now)
	return batch
}

func (s *Server) writeSets(w http.ResponseWriter, c *client, batch feedBatch, entry *logEntry) error {
	sets := make(map[string]string, len(batch.events))
	for _, e := range batch.events {
		set, err := s.securityEvent(e, c, entry.start)
		if err != nil {
			return err
		}
		sets[e.id] = set
	}
	writeJSON(w, http.StatusOK, pollResponse{Sets: sets, MoreAvailable: batch.more, Cursor: batch.cursor})
	return nil
}

// Event types of the OAuth Event Types profile (OpenID Foundation), and one of
// ours, which receivers that do not know it ignore (RFC 8417 §2.2).
const (
	eventTokenRevoked  = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"
	eventTokensRevoked = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked"
	eventKeyRetired    = "https://github.com/gatehouse-mcp/gatehouse/event-type/key-retired"
	typeSecurityEvent  = "secevent+jwt"
)

// securityEventClaims are a security event token (RFC 8417 §2.2).
type securityEventClaims struct {
	Issuer   string                     `json:"iss"`
	IssuedAt int64                      `json:"iat"`
	ID       string                     `json:"jti"`
	Audience audience                   `json:"aud"`
	Events   map[string]revocationEvent `json:"events"`
}

// revocationEvent says which tokens are revoked in the words of their claims:
// one by jti, or those that a key has signed by kid, or those of a grant,
// client_id or sub (or, without any, all) with an iat up to issued_before. exp
// is when it can be forgotten.
type revocationEvent struct {
	ID           string `json:"jti,omitempty"`
	KeyID        string `json:"kid,omitempty"`
	Grant        string `json:"grant,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	Subject      string `json:"sub,omitempty"`
	IssuedBefore int64  `json:"issued_before,omitempty"`
	Expiry       int64  `json:"exp"`
}

func (s *Server) securityEvent(e revocation, c *client, now time.Time) (string, error) {
	name, event := eventTokensRevoked, revocationEvent{IssuedBefore: e.IssuedBefore.Unix(), Expiry: e.ExpiresAt.Unix()}
	switch e.Kind {
	case storage.EventTokenRevoked:
		name, event = eventTokenRevoked, revocationEvent{ID: e.Target, Expiry: e.ExpiresAt.Unix()}
	case storage.EventGrantRevoked:
		event.Grant = e.Target
	case storage.EventClientRevoked:
		event.ClientID = e.Target
	case storage.EventSubjectRevoked:
		event.Subject = e.Target
	case storage.EventAllRevoked: // names nothing
	case storage.EventKeysChanged:
		// The event is forgotten sooner than tokens of the key have expired: who
		// has missed it has fetched the keys since.
		expiry := e.CreatedAt.Add(MaxAccessTokenLifetime + MaxVerifierSkew)
		name, event = eventKeyRetired, revocationEvent{KeyID: e.Target, Expiry: expiry.Unix()}
	case storage.EventClientChanged:
		return "", fmt.Errorf("event %d of kind %s revokes nothing", e.Seq, e.Kind)
	}
	return s.keys.Sign(typeSecurityEvent, securityEventClaims{
		Issuer: s.cfg.Issuer, IssuedAt: e.CreatedAt.Unix(), ID: e.id,
		Audience: audience{c.ID}, Events: map[string]revocationEvent{name: event},
	}, now)
}
