package storage

import (
	"context"
	"slices"
	"time"
)

// Session is a browser in which a user is signed in. The cookie is never
// stored: Hash is its SHA-256.
type Session struct {
	Hash    [32]byte
	UserID  string
	Methods []string // amr (RFC 8176): how the user signed in

	AuthTime   time.Time // when the user last proved who they are
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time

	UserAgent string // of the browser, for the user to recognise it
	Address   string // from where, when it was created
}

// Clone returns a deep copy.
func (s Session) Clone() Session {
	s.Methods = slices.Clone(s.Methods)
	return s
}

// Sessions keeps browser sessions.
type Sessions interface {
	// SignIn stores s, removes the session named replaced (a sign-in never
	// keeps the old cookie; zero for none) and, unless interaction is zero,
	// writes s.UserID and s.Hash into that interaction and returns it as it
	// is then. ErrNotFound when the interaction does not exist or has expired
	// at s.CreatedAt; nothing is stored then.
	SignIn(ctx context.Context, s Session, replaced, interaction [32]byte) (Interaction, error)

	// Session returns a session and its user. ErrNotFound when there is none,
	// it has expired at now, or the user is disabled.
	Session(ctx context.Context, hash [32]byte, now time.Time) (Session, User, error)

	// TouchSession sets LastSeenAt to now and ExpiresAt. A session that is
	// gone or has expired is no error and stays so.
	TouchSession(ctx context.Context, hash [32]byte, expiresAt, now time.Time) error

	// Sessions returns the user's sessions that have not expired at now, the
	// one seen last first.
	Sessions(ctx context.Context, userID string, now time.Time) ([]Session, error)

	// DeleteSession removes one session of the user; one that is gone is no
	// error. DeleteSessions removes all of the user but kept (zero: all), and
	// everybody's when userID is empty.
	DeleteSession(ctx context.Context, userID string, hash [32]byte) error
	DeleteSessions(ctx context.Context, userID string, kept [32]byte) error
}

// Failures is how often something went wrong lately under one key, such as the
// passwords tried for an account from one address.
type Failures struct {
	Count  int
	LastAt time.Time // zero when Count is 0
}

// SignInAttempt is all that judging a password needs.
type SignInAttempt struct {
	User     User       // zero ID when there is no such username
	Failures []Failures // by the keys asked for, in their order
}

// Attempts counts failures, so that guessing gets slow. Keys are hashes; a
// counter that nobody has increased for its lifetime starts again from zero.
type Attempts interface {
	// SignInAttempt returns the user of that username, if there is one, and
	// the failures under keys at now.
	SignInAttempt(ctx context.Context, username string, keys [][32]byte, now time.Time) (SignInAttempt, error)

	// CountFailures adds one under each of keys at now and returns the new
	// counts in their order; each counter lives until expiresAt. Concurrent
	// callers all count.
	CountFailures(ctx context.Context, keys [][32]byte, expiresAt, now time.Time) ([]int, error)

	// ForgetFailures removes the counters of keys.
	ForgetFailures(ctx context.Context, keys [][32]byte) error
}
