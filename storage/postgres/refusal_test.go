package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/postgres"
)

// refusal is a call that is refused.
type refusal struct {
	name string
	want error
	run  func(ctx context.Context, s *postgres.Store) error
}

// TestStatements_RefusalsOfPeopleAreOneRoundTrip: that somebody is refused, and
// what follows from it, is decided by the statement that was refused.
func TestStatements_RefusalsOfPeopleAreOneRoundTrip(t *testing.T) {
	t.Parallel()
	s, _, count := counted(t, 48*time.Hour)
	for _, step := range steps() {
		must(t, step.run(t.Context(), s))
	}
	issue(t, s, "code")
	must(t, s.CreateInteraction(t.Context(), interaction("i")))
	must(t, s.CreateDeviceAuthorization(t.Context(), device("pending")))
	for _, r := range append(userRefusals(), tokenRefusals()...) {
		before := count.n.Load()
		if wantErr(t, r.run(t.Context(), s), r.want); count.n.Load()-before != 1 {
			t.Errorf("%s: %d statements, want 1", r.name, count.n.Load()-before)
		}
	}
}

func userRefusals() []refusal {
	return []refusal{
		{"CreateUser taken", storage.ErrExists, func(ctx context.Context, s *postgres.Store) error {
			return s.CreateUser(ctx, user("u"), storage.Identity{})
		}},
		{"CreateUser identity taken", storage.ErrExists, func(ctx context.Context, s *postgres.Store) error {
			return s.CreateUser(ctx, user("v"), storage.Identity{Issuer: "https://idp.example", Subject: "1"})
		}},
		{"User none", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error { _, err := s.User(ctx, "v"); return err }},
		{"UpdateUser changed", storage.ErrConflict, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.UpdateUser(ctx, user("u"), nil, noon)
			return err
		}},
		{"UpdateUser none", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.UpdateUser(ctx, user("v"), nil, noon)
			return err
		}},
		{"SpendRecoveryCode spent", storage.ErrSpent, func(ctx context.Context, s *postgres.Store) error {
			return s.SpendRecoveryCode(ctx, "u", hash("b"), noon)
		}},
		{"CreatePasskey of nobody", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			return s.CreatePasskey(ctx, storage.Passkey{ID: []byte{2}, UserID: "v"})
		}},
		{"SignIn without its interaction", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.SignIn(ctx, session1(), [32]byte{}, hash("none"))
			return err
		}},
		{"Progress none", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.Progress(ctx, hash("none"), [32]byte{}, noon)
			return err
		}},
		{"IssueCode again", storage.ErrSpent, func(ctx context.Context, s *postgres.Store) error {
			return s.IssueCode(ctx, code("another"), hash("code"))
		}},
		{"SpendPushedRequest again", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.SpendPushedRequest(ctx, hash("p"), "c", noon)
			return err
		}},
	}
}

func tokenRefusals() []refusal {
	return []refusal{
		{"RedeemCode wrong", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			r := redemption("code", "")
			r.CodeChallenge = "y"
			_, _, err := s.RedeemCode(ctx, r)
			return err
		}},
		{"RotateRefreshToken scope", storage.ErrScope, func(ctx context.Context, s *postgres.Store) error {
			r := rotation("g", "scope", 2, 0)
			r.Scopes = []string{"mcp:write"} // narrowed away
			_, _, err := s.RotateRefreshToken(ctx, r)
			return err
		}},
		{"RotateRefreshToken reuse", storage.ErrSpent, func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.RotateRefreshToken(ctx, rotation("g", "reuse", 1, 0))
			return err
		}},
		{"RotateRefreshToken of a dead grant", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.RotateRefreshToken(ctx, rotation("g", "dead", 2, 0))
			return err
		}},
		{"RedeemCode again", storage.ErrSpent, func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.RedeemCode(ctx, redemption("g", "again"))
			return err
		}},
		{"NarrowGrant dead", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			return s.NarrowGrant(ctx, "g", "u", []string{"mcp:read"}, event("g"), noon)
		}},
		{"RestoreGrant of reuse", storage.ErrNotFound, func(ctx context.Context, s *postgres.Store) error {
			return s.RestoreGrant(ctx, "g", "u", noon)
		}},
		{"CreateDeviceAuthorization taken", storage.ErrExists, func(ctx context.Context, s *postgres.Store) error {
			return s.CreateDeviceAuthorization(ctx, device("pending"))
		}},
		{"DeviceAuthorization decided", storage.ErrSpent, func(ctx context.Context, s *postgres.Store) error {
			_, err := s.DeviceAuthorization(ctx, hash("user d"), noon)
			return err
		}},
		{"DecideDevice again", storage.ErrSpent, func(ctx context.Context, s *postgres.Store) error {
			return s.DecideDevice(ctx, decision("d"), hash("i"), noon)
		}},
		{"PollDevice again", storage.ErrSpent, func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.PollDevice(ctx, poll("d", "again"))
			return err
		}},
		{"PollDevice pending", storage.ErrPending, func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.PollDevice(ctx, poll("pending", ""))
			return err
		}},
		{"PollDevice in haste", storage.ErrSlowDown, func(ctx context.Context, s *postgres.Store) error {
			_, _, err := s.PollDevice(ctx, poll("pending", ""))
			return err
		}},
	}
}
