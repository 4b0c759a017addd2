package storage

import (
	"context"
	"slices"
	"time"
)

// DeviceAuthorization is a request of the device authorization grant (RFC
// 8628) that a person has yet to decide. Both codes are stored by SHA-256.
type DeviceAuthorization struct {
	DeviceCode [32]byte
	UserCode   [32]byte

	ClientID    string
	Scopes      []string
	Resource    string
	Audience    string
	TokenFormat TokenFormat
	Device      string // Grant.Device
	Refresh     bool

	Interval  time.Duration // between polls
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Clone returns a deep copy.
func (d DeviceAuthorization) Clone() DeviceAuthorization {
	d.Scopes = slices.Clone(d.Scopes)
	return d
}

// DeviceDecision is a person's answer to a device's request.
type DeviceDecision struct {
	UserCode [32]byte
	Approved bool

	// The rest is for an approval.
	GrantID      string
	UserID       string
	Scopes       []string // granted, of those asked for
	AuthTime     time.Time
	Methods      []string
	ClientDigest []byte
}

// DevicePoll is the presentation of a device code.
type DevicePoll struct {
	DeviceCode [32]byte
	ClientID   string

	Secret         [32]byte  // becomes Grant.Secret
	GrantExpiresAt time.Time // becomes Grant.ExpiresAt
	AccessToken    TokenToStore
	Now            time.Time
}

// DeviceAuthorizations keeps the requests of devices.
type DeviceAuthorizations interface {
	// CreateDeviceAuthorization stores d. ErrExists when a code is taken by a
	// request that has not expired at d.CreatedAt.
	CreateDeviceAuthorization(ctx context.Context, d DeviceAuthorization) error

	// DeviceAuthorization returns the undecided request with that user code,
	// or ErrNotFound (also when it has expired at now), or ErrSpent when it
	// has been decided.
	DeviceAuthorization(ctx context.Context, userCode [32]byte, now time.Time) (DeviceAuthorization, error)

	// DecideDevice records d and removes the interaction in which it was
	// made, in one statement. ErrSpent when the interaction is gone or the
	// request is decided already or has expired at now; of concurrent callers
	// exactly one decides.
	DecideDevice(ctx context.Context, d DeviceDecision, interaction [32]byte, now time.Time) error

	// PollDevice answers a device. An approved request is spent and becomes a
	// grant, as a code does in [Grants.RedeemCode]; it is returned with its
	// user. ErrPending while nobody has decided; ErrSlowDown when the last
	// poll is less than the interval ago, which grows by 5 s then (RFC 8628
	// §3.5); ErrDenied; ErrExpired; ErrSpent when the grant was handed out
	// before; ErrNotFound when there is none or it is another client's, or the
	// user is disabled. Of concurrent callers at most one gets the grant.
	PollDevice(ctx context.Context, p DevicePoll) (Grant, User, error)
}
