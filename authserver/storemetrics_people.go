package authserver

import (
	"context"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// The steps of people and their clients; those of the account page, which
// nobody's program waits for, are not measured.

func (m *measuredStore) CreateInteraction(ctx context.Context, i storage.Interaction) error {
	defer m.measure("create_interaction")()
	return m.Store.CreateInteraction(ctx, i)
}

func (m *measuredStore) Progress(ctx context.Context, hash, session [32]byte, now time.Time) (storage.Progress, error) {
	defer m.measure("progress")()
	return m.Store.Progress(ctx, hash, session, now)
}

func (m *measuredStore) SignInAttempt(ctx context.Context, username string, keys [][32]byte, now time.Time) (storage.SignInAttempt, error) {
	defer m.measure("sign_in_attempt")()
	return m.Store.SignInAttempt(ctx, username, keys, now)
}

func (m *measuredStore) SignIn(ctx context.Context, s storage.Session, replaced, interaction [32]byte) (storage.Interaction, error) {
	defer m.measure("sign_in")()
	return m.Store.SignIn(ctx, s, replaced, interaction)
}

func (m *measuredStore) Session(ctx context.Context, hash [32]byte, now time.Time) (storage.Session, storage.User, error) {
	defer m.measure("session")()
	return m.Store.Session(ctx, hash, now)
}

func (m *measuredStore) IssueCode(ctx context.Context, c storage.Code, interaction [32]byte) error {
	defer m.measure("issue_code")()
	return m.Store.IssueCode(ctx, c, interaction)
}

func (m *measuredStore) RedeemCode(ctx context.Context, r storage.Redemption) (storage.Grant, storage.User, error) {
	defer m.measure("redeem_code")()
	return m.Store.RedeemCode(ctx, r)
}

func (m *measuredStore) RotateRefreshToken(ctx context.Context, r storage.Rotation) (storage.Grant, storage.User, error) {
	defer m.measure("rotate_refresh_token")()
	return m.Store.RotateRefreshToken(ctx, r)
}

func (m *measuredStore) PollDevice(ctx context.Context, p storage.DevicePoll) (storage.Grant, storage.User, error) {
	defer m.measure("poll_device")()
	return m.Store.PollDevice(ctx, p)
}

func (m *measuredStore) PushRequest(ctx context.Context, p storage.PushedRequest) error {
	defer m.measure("push_request")()
	return m.Store.PushRequest(ctx, p)
}

func (m *measuredStore) RegisterClient(ctx context.Context, c storage.Client) (storage.Client, error) {
	defer m.measure("register_client")()
	return m.Store.RegisterClient(ctx, c)
}
