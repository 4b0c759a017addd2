package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// peopleCalls are the methods that people have a part in.
func peopleCalls() []call {
	var all []call
	for _, some := range [][]call{
		userCalls(), passkeyCalls(), sessionCalls(), attemptCalls(), interactionCalls(), grantCalls(), deviceCalls(),
	} {
		all = append(all, some...)
	}
	return all
}

// failing makes a call of a method that returns something beside an error.
func failing[T any](f func(ctx context.Context, s storage.Store) (T, error)) func(ctx context.Context, s storage.Store) error {
	return func(ctx context.Context, s storage.Store) error {
		_, err := f(ctx, s)
		return err
	}
}

func userCalls() []call {
	return []call{
		{"User", failing(func(ctx context.Context, s storage.Store) (storage.User, error) { return s.User(ctx, "u1") })},
		{"UserByUsername", failing(func(ctx context.Context, s storage.Store) (storage.User, error) {
			return s.UserByUsername(ctx, user("u1").Username)
		})},
		{"UserByIdentity", failing(func(ctx context.Context, s storage.Store) (storage.User, error) {
			return s.UserByIdentity(ctx, identity("ada"))
		})},
		{"ListUsers", failing(func(ctx context.Context, s storage.Store) ([]storage.User, error) {
			return s.ListUsers(ctx, "", 10)
		})},
		{"CreateUser", func(ctx context.Context, s storage.Store) error {
			return s.CreateUser(ctx, user("u2"), identity("eve"))
		}},
		{"UpdateUser", failing(func(ctx context.Context, s storage.Store) (storage.User, error) {
			revoked := subjectRevoked("u1")
			return s.UpdateUser(ctx, user("u1"), &revoked, now())
		})},
		{"SpendRecoveryCode", func(ctx context.Context, s storage.Store) error {
			return s.SpendRecoveryCode(ctx, "u1", hash("r1"), now())
		}},
	}
}

func passkeyCalls() []call {
	return []call{
		{"Passkeys", failing(func(ctx context.Context, s storage.Store) ([]storage.Passkey, error) {
			return s.Passkeys(ctx, "u1")
		})},
		{"CreatePasskey", func(ctx context.Context, s storage.Store) error { return s.CreatePasskey(ctx, passkey("p2")) }},
		{"UsePasskey", func(ctx context.Context, s storage.Store) error {
			return s.UsePasskey(ctx, passkey("p1").ID, 8, 1, now())
		}},
		{"DeletePasskey", func(ctx context.Context, s storage.Store) error {
			return s.DeletePasskey(ctx, "u1", passkey("p1").ID)
		}},
	}
}

func sessionCalls() []call {
	return []call{
		{"SignIn", failing(func(ctx context.Context, s storage.Store) (storage.Interaction, error) {
			return s.SignIn(ctx, session("s2"), session("s1").Hash, interaction("i1").Hash)
		})},
		{"Session", func(ctx context.Context, s storage.Store) error {
			_, _, err := s.Session(ctx, session("s1").Hash, now())
			return err
		}},
		{"TouchSession", func(ctx context.Context, s storage.Store) error {
			return s.TouchSession(ctx, session("s1").Hash, later(), later())
		}},
		{"Sessions", failing(func(ctx context.Context, s storage.Store) ([]storage.Session, error) {
			return s.Sessions(ctx, "u1", now())
		})},
		{"DeleteSession", func(ctx context.Context, s storage.Store) error {
			return s.DeleteSession(ctx, "u1", session("s1").Hash)
		}},
		{"DeleteSessions", func(ctx context.Context, s storage.Store) error { return s.DeleteSessions(ctx, "u1", [32]byte{}) }},
	}
}

func attemptCalls() []call {
	return []call{
		{"SignInAttempt", failing(func(ctx context.Context, s storage.Store) (storage.SignInAttempt, error) {
			return s.SignInAttempt(ctx, user("u1").Username, keysOf("a"), now())
		})},
		{"CountFailures", failing(func(ctx context.Context, s storage.Store) ([]int, error) {
			return s.CountFailures(ctx, keysOf("a", "b"), later(), now())
		})},
		{"ForgetFailures", func(ctx context.Context, s storage.Store) error { return s.ForgetFailures(ctx, keysOf("a")) }},
	}
}

func interactionCalls() []call {
	return []call{
		{"CreateInteraction", func(ctx context.Context, s storage.Store) error {
			return s.CreateInteraction(ctx, interaction("i2"))
		}},
		{"Progress", failing(func(ctx context.Context, s storage.Store) (storage.Progress, error) {
			return s.Progress(ctx, interaction("i1").Hash, session("s1").Hash, now())
		})},
		{"IssueCode", func(ctx context.Context, s storage.Store) error {
			return s.IssueCode(ctx, code("another"), interaction("i1").Hash)
		}},
		{"EndInteraction", func(ctx context.Context, s storage.Store) error {
			return s.EndInteraction(ctx, interaction("i1").Hash)
		}},
		{"PushRequest", func(ctx context.Context, s storage.Store) error { return s.PushRequest(ctx, pushed("p2")) }},
		{"SpendPushedRequest", failing(func(ctx context.Context, s storage.Store) (storage.PushedRequest, error) {
			return s.SpendPushedRequest(ctx, pushed("p1").Hash, "c1", now())
		})},
	}
}

func grantCalls() []call {
	return []call{
		{"RedeemCode", func(ctx context.Context, s storage.Store) error {
			_, _, err := s.RedeemCode(ctx, redemption("fresh"))
			return err
		}},
		{"RotateRefreshToken", func(ctx context.Context, s storage.Store) error {
			g := grantBy(code("living"), redemption("living"))
			_, _, err := s.RotateRefreshToken(ctx, presented(g, 1, time.Minute))
			return err
		}},
		{"Grant", failing(func(ctx context.Context, s storage.Store) (storage.Grant, error) { return s.Grant(ctx, "living") })},
		{"ListGrants", failing(func(ctx context.Context, s storage.Store) ([]storage.Grant, error) {
			return s.ListGrants(ctx, "u1", now())
		})},
		{"NarrowGrant", func(ctx context.Context, s storage.Store) error {
			return s.NarrowGrant(ctx, "living", "u1", []string{"mcp:read"}, grantRevoked("living"), now())
		}},
		{"RevokeGrant", func(ctx context.Context, s storage.Store) error {
			return s.RevokeGrant(ctx, "living", "u1", "user", grantRevoked("living"), now())
		}},
		{"RevokeGrants", func(ctx context.Context, s storage.Store) error {
			return s.RevokeGrants(ctx, broadly(storage.EventSubjectRevoked, "u1", now()), now())
		}},
		{"RestoreGrant", func(ctx context.Context, s storage.Store) error {
			return s.RestoreGrant(ctx, "revoked", "u1", now())
		}},
	}
}

func deviceCalls() []call {
	return []call{
		{"CreateDeviceAuthorization", func(ctx context.Context, s storage.Store) error {
			return s.CreateDeviceAuthorization(ctx, device("d3"))
		}},
		{"DeviceAuthorization", failing(func(ctx context.Context, s storage.Store) (storage.DeviceAuthorization, error) {
			return s.DeviceAuthorization(ctx, device("undecided").UserCode, now())
		})},
		{"DecideDevice", func(ctx context.Context, s storage.Store) error {
			return s.DecideDevice(ctx, approval("undecided"), interaction("i1").Hash, now())
		}},
		{"PollDevice", func(ctx context.Context, s storage.Store) error {
			_, _, err := s.PollDevice(ctx, poll("approved", time.Minute))
			return err
		}},
	}
}

// furnishPeople stores one record of each kind that people have a part in.
func furnishPeople(t *testing.T, db *database) {
	t.Helper()
	must(t, db.CreateUser(db.ctx, user("u1"), identity("ada")))
	must(t, db.CreatePasskey(db.ctx, passkey("p1")))
	signIn(t, db, session("s1"))
	count(t, db, now(), "a")
	begin(t, db, interaction("i1"))
	must(t, db.PushRequest(db.ctx, pushed("p1")))
	issue(t, db, code("fresh"))
	granted(t, db, "living")
	granted(t, db, "revoked")
	must(t, db.RevokeGrant(db.ctx, "revoked", "u1", "user", grantRevoked("revoked"), later()))
	startDevice(t, db, device("undecided"))
	approved(t, db, device("approved"), approval("approved"))
}

// wantPeople fails unless the database holds what [furnishPeople] stored and
// nothing else. It uses up what can be used once.
func wantPeople(t *testing.T, db *database) {
	t.Helper()
	users, err := db.ListUsers(db.ctx, "", 10)
	must(t, err)
	wantEqual(t, users, []storage.User{user("u1")})
	wantPasskeys(t, db, "u1", passkey("p1"))
	sessions, err := db.Sessions(db.ctx, "u1", now())
	must(t, err)
	wantEqual(t, sessions, []storage.Session{session("s1")})
	wantFailures(t, db, now(), []string{"a", "b"}, storage.Failures{Count: 1, LastAt: now()}, storage.Failures{})
	wantInteraction(t, db, interaction("i1"))
	wantNoInteraction(t, db, interaction("i2"))
	wantGrant(t, db, grantBy(code("living"), redemption("living")))
	wantGrant(t, db, revokedFor(grantBy(code("revoked"), redemption("revoked")), "user", later()))
	wantNoGrant(t, db, "fresh")
	wantNoGrant(t, db, "approved")
	wantNoCode(t, db, "another")
	wantDevice(t, db, device("undecided"))
	wantPoll(t, db, poll("d3", time.Minute), storage.ErrNotFound)
	_, err = db.SpendPushedRequest(db.ctx, pushed("p2").Hash, "c1", now())
	wantErr(t, err, storage.ErrNotFound)
	_, err = db.SpendPushedRequest(db.ctx, pushed("p1").Hash, "c1", now())
	must(t, err)
	_, _, err = db.RedeemCode(db.ctx, redemption("fresh"))
	must(t, err)
	_, _, err = db.PollDevice(db.ctx, poll("approved", time.Minute))
	must(t, err)
}
