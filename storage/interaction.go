package storage

import (
	"context"
	"slices"
	"time"
)

// Interaction is an authorization request on its way through sign-in and
// consent. It belongs to one browser; the handle in its URLs is never stored:
// Hash is its SHA-256.
type Interaction struct {
	Hash    [32]byte
	Browser [32]byte // SHA-256 of the cookie of the browser that began it

	ClientID      string
	RedirectURI   string // as requested; proven to be the client's
	State         string // as sent; empty: none
	CodeChallenge string // S256 (RFC 7636 §4.2)

	Scopes      []string    // asked for, already limited to what the client may ask
	Resource    string      // canonical identifier (RFC 8707)
	Audience    string      // the same as the client wrote it
	TokenFormat TokenFormat // of the access tokens to come

	Nonce     string        // OpenID Connect
	Prompt    []string      // OpenID Connect: login, consent, select_account
	MaxAge    time.Duration // of the sign-in; negative: any
	LoginHint string

	// UserCode is the SHA-256 of the user code when the request comes from a
	// device (RFC 8628); RedirectURI and CodeChallenge are empty then.
	UserCode [32]byte

	// UserID and Session are set when the user has signed in for it.
	UserID  string
	Session [32]byte

	CreatedAt time.Time
	ExpiresAt time.Time
}

// Clone returns a deep copy.
func (i Interaction) Clone() Interaction {
	i.Scopes = slices.Clone(i.Scopes)
	i.Prompt = slices.Clone(i.Prompt)
	return i
}

// Progress is an interaction with all that deciding its next step needs.
type Progress struct {
	Interaction
	// Session and User are those of the browser's session cookie; zero when
	// there is none in force.
	SignedIn Session
	User     User
	// ConsentedDigest is [Grant.ClientDigest] of the newest of the user's living
	// grants to this client for this resource. Consented are the scopes of those
	// of them that have the same one, sorted, without repetition: what was
	// granted to the client before it changed is no consent to what it is now.
	Consented       []string
	ConsentedDigest []byte
}

// Interactions keeps authorization requests that people are working on.
type Interactions interface {
	// CreateInteraction stores i.
	CreateInteraction(ctx context.Context, i Interaction) error

	// Progress returns the interaction together with the session of the
	// browser (session is the hash of its cookie; zero for none), its user and
	// what that user has granted to the client before. ErrNotFound when the
	// interaction does not exist or has expired at now. A session that is
	// unknown, expired or of a disabled user is left out.
	Progress(ctx context.Context, hash, session [32]byte, now time.Time) (Progress, error)

	// IssueCode stores c and removes the interaction in one statement.
	// ErrSpent when the interaction is gone or has expired at c.CreatedAt: of
	// concurrent callers exactly one gets a code.
	IssueCode(ctx context.Context, c Code, interaction [32]byte) error

	// EndInteraction removes it. ErrSpent when it is gone.
	EndInteraction(ctx context.Context, hash [32]byte) error
}

// PushedRequest is an authorization request that the client sent ahead (RFC
// 9126). Hash is the SHA-256 of the request_uri's reference.
type PushedRequest struct {
	Hash      [32]byte
	ClientID  string
	Params    string // the checked parameters, form encoded; no credentials
	ExpiresAt time.Time
}

// PushedRequests keeps pushed authorization requests until they are used.
type PushedRequests interface {
	// PushRequest stores p.
	PushRequest(ctx context.Context, p PushedRequest) error

	// SpendPushedRequest removes and returns the request. ErrNotFound when
	// there is none, it has expired at now, or it is another client's (it
	// stays then); of concurrent callers exactly one gets it.
	SpendPushedRequest(ctx context.Context, hash [32]byte, clientID string, now time.Time) (PushedRequest, error)
}
