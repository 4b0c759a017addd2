package storage

import (
	"context"
	"slices"
	"time"
)

// Grant is what a user has allowed one installation of a client: the root of a
// token family. Access and refresh tokens carry its id; revoking them all is
// changing this one row. Each authorization makes a grant of its own.
type Grant struct {
	ID       string // random
	ClientID string
	UserID   string // sub

	Scopes      []string
	Resource    string // canonical identifier (RFC 8707)
	Audience    string // the same in the form the client wrote: aud of its tokens
	TokenFormat TokenFormat

	AuthTime time.Time // when the user had signed in
	Methods  []string  // amr
	Nonce    string    // OpenID Connect; of the authorization, not repeated on refresh

	// ClientDigest identifies what the client was when the user consented
	// (redirect URIs, keys, authentication method); a change asks again.
	ClientDigest []byte
	// Device is where the client said to be or seemed to be, for the user.
	Device string

	// Refresh says that refresh tokens are issued. Generation is that of the
	// current one, from 1 (0: none); RotatedAt when it became that. Secret is
	// the random half of the key that refresh tokens are made with.
	Refresh    bool
	Generation int64
	RotatedAt  time.Time
	Secret     [32]byte

	CreatedAt  time.Time
	LastUsedAt time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time // zero: in force
	// RevokeReason is one word: code_reuse, refresh_reuse, user, client,
	// operator. Empty while in force.
	RevokeReason string
}

// Clone returns a deep copy.
func (g Grant) Clone() Grant {
	g.Scopes = slices.Clone(g.Scopes)
	g.Methods = slices.Clone(g.Methods)
	g.ClientDigest = slices.Clone(g.ClientDigest)
	return g
}

// Code is an authorization code (RFC 6749 §4.1) with everything that was
// decided with it. Hash is its SHA-256; GrantID the grant it will become.
type Code struct {
	Hash    [32]byte
	GrantID string

	ClientID      string
	UserID        string
	RedirectURI   string
	CodeChallenge string // S256

	Scopes      []string
	Resource    string
	Audience    string
	TokenFormat TokenFormat

	AuthTime     time.Time
	Methods      []string
	Nonce        string
	ClientDigest []byte
	Device       string
	Refresh      bool

	CreatedAt time.Time
	ExpiresAt time.Time
}

// TokenToStore is an opaque access token that a step stores together with what
// it does, if the grant's format is opaque; a JWT is not stored. Client,
// subject, scopes and audience come from the grant.
type TokenToStore struct {
	Hash      [32]byte
	IssuedAt  time.Time // whole seconds
	ExpiresAt time.Time // whole seconds
}

// Redemption is the presentation of an authorization code.
type Redemption struct {
	CodeHash      [32]byte
	ClientID      string
	RedirectURI   string // empty: not sent, not compared
	CodeChallenge string // computed from the code_verifier
	Resource      string // canonical; empty: not sent, not compared

	Secret         [32]byte  // becomes Grant.Secret
	GrantExpiresAt time.Time // becomes Grant.ExpiresAt
	AccessToken    TokenToStore

	// Revoked is appended when the code was redeemed before; the engine sets
	// its Target to the grant's id.
	Revoked Event
	Now     time.Time
}

// Rotation is the presentation of a refresh token. The token is authentic if
// SHA-256(SHA-256(Grant.Secret ‖ Inner)) is TagHash: Inner is keyed by the
// server and names grant and generation, Secret is in the row, and comparing
// hashes of tags tells nobody by its timing how much of a guess was right.
type Rotation struct {
	GrantID    string
	Generation int64 // the presented token's
	Inner      [32]byte
	TagHash    [32]byte
	ClientID   string

	Scopes   []string // asked for; empty: all of the grant's
	Resource string   // canonical; empty: not sent
	// Allowed are the canonical identifiers of all resources that the client
	// may have tokens for now.
	Allowed []string

	// Window is how long after a rotation the token before still gets the
	// same successor; zero or less: not at all.
	Window         time.Duration
	GrantExpiresAt time.Time // new Grant.ExpiresAt
	AccessToken    TokenToStore

	// Revoked is appended when the token is presented again after its time.
	Revoked Event
	Now     time.Time
}

// Grants keeps grants and the codes that become them.
type Grants interface {
	// RedeemCode spends the code and makes its grant with Generation 1 (0 if
	// it has no refresh tokens), LastUsedAt and RotatedAt now; a client that
	// was to expire unused no longer does; an opaque access token is stored.
	// It returns the grant and its user. One statement decides:
	//
	//   - ErrNotFound: there is no such code, it has expired at Now, it is
	//     another client's, or RedirectURI, CodeChallenge or Resource differ,
	//     or the user is disabled. The code stays as it is.
	//   - ErrSpent: the client has redeemed it before, whatever else it sends
	//     now. Its grant is revoked (code_reuse) and Revoked appended, unless
	//     the grant was revoked already.
	//
	// Of concurrent callers exactly one gets the grant, and every other one
	// ErrSpent. Spent codes are remembered for at least an hour.
	RedeemCode(ctx context.Context, r Redemption) (Grant, User, error)

	// RotateRefreshToken accepts a refresh token and returns the grant, whose
	// Generation is the successor's, and its user. An opaque access token is
	// stored with the scopes asked for. One statement decides:
	//
	//   - ErrNotFound: there is no such grant, it is revoked or has expired at
	//     Now, it has no refresh tokens or is another client's, the token is
	//     not authentic, the user is disabled, or the grant's resource is none
	//     of Allowed. Nothing changes. (An authentic token of an earlier
	//     generation of a grant that is revoked for refresh_reuse is ErrSpent
	//     again; nothing changes either.)
	//   - ErrScope, ErrResource: Scopes are not all of the grant's, or Resource
	//     is another. Nothing changes, the token is not spent.
	//   - ErrSpent: an authentic token of an earlier generation than the
	//     window allows: Generation is the current one minus 1 and Now is past
	//     RotatedAt plus Window, or it is older. The grant is revoked
	//     (refresh_reuse) and Revoked appended.
	//   - nil: Generation is the current one, which becomes Generation+1 with
	//     RotatedAt, LastUsedAt and ExpiresAt; or it is the current one minus 1
	//     within the window, and only LastUsedAt and ExpiresAt change.
	//
	// So of concurrent callers with one token all get the same generation
	// (Window > 0), or one gets it and the others ErrSpent.
	RotateRefreshToken(ctx context.Context, r Rotation) (Grant, User, error)

	// Grant returns a grant in whatever state, or ErrNotFound.
	Grant(ctx context.Context, id string) (Grant, error)

	// ListGrants returns the user's grants that are in force at now, the one
	// used last first.
	ListGrants(ctx context.Context, userID string, now time.Time) ([]Grant, error)

	// RevokeGrant revokes a grant in force and appends revoked in the same
	// statement; so it does with one that its user has revoked (reason user)
	// when reason is another, which RestoreGrant then takes back no more.
	// ErrNotFound when there is none of that id (and of that user, unless
	// userID is empty); one that is revoked otherwise is no error and appends
	// nothing.
	RevokeGrant(ctx context.Context, id, userID, reason string, revoked Event, now time.Time) error

	// RevokeGrants revokes (reason operator) every grant that revoked covers
	// and that is in force or revoked by its user only, which RestoreGrant
	// then takes back no more: by its kind the grant, those of the client, of
	// the subject or all, made until IssuedBefore; codes of theirs that are not
	// redeemed yet come to nothing, and so does what devices were allowed and
	// have not collected. It appends revoked, in the same transaction and also
	// when there is no such grant. A revocation of one token revokes no grant.
	RevokeGrants(ctx context.Context, revoked Event, now time.Time) error

	// RestoreGrant takes back a revocation by the user (reason user) that is
	// not older than since and that nobody else has made final meanwhile.
	// Access tokens revoked with it stay revoked. ErrNotFound when there is no
	// such one; concurrent with RevokeGrant or RevokeGrants, the grant ends
	// revoked.
	RestoreGrant(ctx context.Context, id, userID string, since time.Time) error

	// NarrowGrant replaces the scopes of the user's grant in force and appends
	// revoked, so that tokens with more end. ErrNotFound when there is no such
	// grant, ErrScope when scopes are empty or not all of the grant's.
	NarrowGrant(ctx context.Context, id, userID string, scopes []string, revoked Event, now time.Time) error
}
