package authserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
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
	poll, cursor, err := readPoll(r)
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
	receiver := s.log.arrive(id, c, confirmed)
	defer func() { s.log.depart(id, receiver, r.Context().Err() != nil, time.Now()) }()

	hold := time.NewTimer(feedHold)
	defer hold.Stop()
	for {
		batch := s.log.after(cursor, confirmed, c, *poll.MaxEvents, time.Now())
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

// readPoll reads the request; the cursor is 0 for a receiver that has nothing.
func readPoll(r *http.Request) (poll pollRequest, cursor int64, err error) {
	body, err := readBody(r)
	if err != nil {
		return poll, 0, err
	}
	if err := json.Unmarshal(body, &poll); err != nil {
		return poll, 0, invalidRequest("The body is not a poll request (RFC 8936).").because(err)
	}
	if poll.Cursor != "" {
		if cursor, err = strconv.ParseInt(poll.Cursor, 10, 64); err != nil || cursor < 0 {
			return poll, 0, invalidRequest("The cursor is not one of this server.")
		}
	}
	if len(poll.Receiver) > maxReceiver {
		return poll, 0, invalidRequest("The receiver is too long.")
	}
	limit := feedMaxSets
	if poll.MaxEvents != nil {
		limit = max(0, min(*poll.MaxEvents, feedMaxSets))
	}
	poll.MaxEvents = &limit
	return poll, cursor, nil
}

// confirmed returns the acknowledged sequence numbers.
func (p *pollRequest) confirmed() map[int64]struct{} {
	acks := p.Ack[:min(len(p.Ack), maxAcks)]
	confirmed := make(map[int64]struct{}, len(acks))
	for _, jti := range acks {
		if seq, err := strconv.ParseInt(jti, 10, 64); err == nil {
			confirmed[seq] = struct{}{}
		}
	}
	return confirmed
}

// feedBatch is what a receiver lacks.
type feedBatch struct {
	events  []revocation
	more    bool
	cursor  int64
	changed <-chan struct{} // closed when there is more
}

// after returns at most limit revocations that concern c, come after cursor and
// are not confirmed.
func (l *eventLog) after(cursor int64, confirmed map[int64]struct{}, c *client, limit int, now time.Time) feedBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cursor > l.newest { // of a log that is no more, as before a backup was restored
		cursor, confirmed = 0, nil
	}
	batch := feedBatch{cursor: max(cursor, l.cursor), changed: l.changed}
	for _, e := range l.events[l.position(cursor+1):] {
		if _, has := confirmed[e.Seq]; has || !now.Before(e.ExpiresAt) || !e.concerns(c) {
			continue
		}
		if len(batch.events) == limit {
			// What comes after the last delivered event is still missing.
			batch.more, batch.cursor = true, min(batch.cursor, e.Seq-1)
			break
		}
		batch.events = append(batch.events, e)
	}
	return batch
}

func (s *Server) writeSets(w http.ResponseWriter, c *client, batch feedBatch, entry *logEntry) error {
	sets := make(map[string]string, len(batch.events))
	for _, e := range batch.events {
		set, err := s.securityEvent(e.Event, c, entry.start)
		if err != nil {
			return err
		}
		sets[strconv.FormatInt(e.Seq, 10)] = set
	}
	writeJSON(w, http.StatusOK, pollResponse{Sets: sets, MoreAvailable: batch.more, Cursor: strconv.FormatInt(batch.cursor, 10)})
	return nil
}

// Event types of the OAuth Event Types profile (OpenID Foundation).
const (
	eventTokenRevoked  = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"
	eventTokensRevoked = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked"
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
// one by jti, or those of a grant, client_id or sub (or, without any, all)
// with an iat up to issued_before. exp is when it can be forgotten.
type revocationEvent struct {
	ID           string `json:"jti,omitempty"`
	Grant        string `json:"grant,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	Subject      string `json:"sub,omitempty"`
	IssuedBefore int64  `json:"issued_before,omitempty"`
	Expiry       int64  `json:"exp"`
}

func (s *Server) securityEvent(e storage.Event, c *client, now time.Time) (string, error) {
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
	case storage.EventClientChanged, storage.EventKeysChanged:
		return "", fmt.Errorf("event %d of kind %s revokes nothing", e.Seq, e.Kind)
	}
	return s.keys.Sign(typeSecurityEvent, securityEventClaims{
		Issuer: s.cfg.Issuer, IssuedAt: e.CreatedAt.Unix(), ID: strconv.FormatInt(e.Seq, 10),
		Audience: audience{c.ID}, Events: map[string]revocationEvent{name: event},
	}, now)
}
