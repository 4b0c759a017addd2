package passkey

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

var (
	// ErrRefused says that a credential is not what it should be; the log may
	// show why, its sender should not.
	ErrRefused = errors.New("passkey: refused")

	// ErrCloned says that a passkey was used out of order: there may be a copy
	// (Web Authentication §6.1.1).
	ErrCloned = errors.New("passkey: the signature counter went back")
)

// maxCredential bounds the JSON of a credential, in bytes.
const maxCredential = 32 << 10

// RelyingParty registers passkeys and verifies their use. It is immutable.
type RelyingParty struct{ webauthn *webauthn.WebAuthn }

// Possible reports whether a host can have passkeys: a domain, never an address
// (Web Authentication §5.1.2).
func Possible(host string) bool { return host != "" && net.ParseIP(host) == nil }

// New returns the relying party of a host (without port) that is called product
// and whose pages have one origin.
func New(host, product, origin string) (*RelyingParty, error) {
	resident := true
	party, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: product, RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &resident,
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			UserVerification:   protocol.VerificationRequired,
		},
		// Password managers send outputs that nobody asked for; none is used.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return &RelyingParty{party}, nil
}

// owner is a user as the library knows users. The user handle is the user's id.
type owner struct {
	storage.User
	keys []storage.Passkey
}

func (o owner) WebAuthnID() []byte   { return []byte(o.ID) }
func (o owner) WebAuthnName() string { return o.Username }
func (o owner) WebAuthnDisplayName() string {
	if o.Name != "" {
		return o.Name
	}
	return o.Username
}

func (o owner) WebAuthnCredentials() []webauthn.Credential {
	credentials := make([]webauthn.Credential, 0, len(o.keys))
	for _, key := range o.keys {
		credential := webauthn.Credential{
			ID: key.ID, PublicKey: key.PublicKey, AttestationType: key.AttestationType,
			Flags:         webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(key.Flags)),
			Authenticator: webauthn.Authenticator{AAGUID: key.AAGUID, SignCount: key.SignCount},
		}
		for _, transport := range key.Transports {
			credential.Transport = append(credential.Transport, protocol.AuthenticatorTransport(transport))
		}
		credentials = append(credentials, credential)
	}
	return credentials
}

// challenge returns the bytes of the challenge in client data.
func challenge(data protocol.CollectedClientData) ([]byte, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(data.Challenge)
	if err != nil {
		return nil, fmt.Errorf("%w: challenge: %w", ErrRefused, err)
	}
	return raw, nil
}

// refuse wraps what the library says, with the part that is for developers.
func refuse(err error) error {
	if detailed, ok := errors.AsType[*protocol.Error](err); ok && detailed.DevInfo != "" {
		return fmt.Errorf("%w: %w (%.200s)", ErrRefused, err, detailed.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// options is the JSON that navigator.credentials takes once its base64url is
// decoded.
func options(dictionary any) (string, error) {
	encoded, err := json.Marshal(dictionary)
	return string(encoded), err
}

// CreationOptions is the JSON of PublicKeyCredentialCreationOptions for a new
// passkey of a user who has some already, under a challenge.
func (p *RelyingParty) CreationOptions(user storage.User, existing []storage.Passkey, challenge []byte) (string, error) {
	creation, _, err := p.creation(owner{user, existing}, challenge)
	if err != nil {
		return "", err
	}
	return options(creation.Response)
}

func (p *RelyingParty) creation(o owner, challenge []byte) (*protocol.CredentialCreation, *webauthn.SessionData, error) {
	creation, session, err := p.webauthn.BeginRegistration(o,
		webauthn.WithExclusions(webauthn.Credentials(o.WebAuthnCredentials()).CredentialDescriptors()),
		func(options *protocol.PublicKeyCredentialCreationOptions) error {
			options.Challenge = challenge
			return nil
		})
	if err != nil {
		return nil, nil, fmt.Errorf("passkey: %w", err)
	}
	return creation, session, nil
}

// Register verifies a new credential (Web Authentication §7.1), the JSON of a
// RegistrationResponse, and returns the user's new passkey, yet without a name.
// judge says whether a challenge is one to take; its errors come back as they
// are, others are [ErrRefused].
func (p *RelyingParty) Register(credential string, user storage.User, now time.Time, judge func(challenge []byte) error) (storage.Passkey, error) {
	if len(credential) > maxCredential {
		return storage.Passkey{}, fmt.Errorf("%w: too long", ErrRefused)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(credential))
	if err != nil {
		return storage.Passkey{}, refuse(err)
	}
	sent, err := challenge(parsed.Response.CollectedClientData)
	if err != nil {
		return storage.Passkey{}, err
	}
	if err := judge(sent); err != nil {
		return storage.Passkey{}, err
	}
	_, session, err := p.creation(owner{User: user}, sent)
	if err != nil {
		return storage.Passkey{}, refuse(err)
	}
	made, err := p.webauthn.CreateCredential(owner{User: user}, *session, parsed)
	if err != nil {
		return storage.Passkey{}, refuse(err)
	}
	key := storage.Passkey{
		ID: made.ID, UserID: user.ID, PublicKey: made.PublicKey, AttestationType: made.AttestationType,
		Flags: uint8(made.Flags.ProtocolValue()), AAGUID: made.Authenticator.AAGUID, SignCount: made.Authenticator.SignCount, CreatedAt: now,
	}
	for _, transport := range made.Transport {
		key.Transports = append(key.Transports, string(transport))
	}
	return key, nil
}

// RequestOptions is the JSON of PublicKeyCredentialRequestOptions for any
// passkey of this relying party, under a challenge.
func (p *RelyingParty) RequestOptions(challenge []byte) (string, error) {
	request, _, err := p.request(challenge)
	if err != nil {
		return "", err
	}
	return options(request.Response)
}

func (p *RelyingParty) request(challenge []byte) (*protocol.CredentialAssertion, *webauthn.SessionData, error) {
	request, session, err := p.webauthn.BeginDiscoverableLogin(webauthn.WithChallenge(challenge))
	if err != nil {
		return nil, nil, fmt.Errorf("passkey: %w", err)
	}
	return request, session, nil
}

// Owner returns a user and the user's passkeys.
type Owner func(userID string) (storage.User, []storage.Passkey, error)

// Assert verifies the use of a passkey (Web Authentication §7.2), the JSON of
// an AuthenticationResponse, and returns whose it is and the passkey with its
// counter and flags as they are now; they are to be stored. judge says whether
// a challenge is one to take; errors of judge and find come back as they are,
// others are [ErrRefused] and, with the user and the passkey, [ErrCloned].
func (p *RelyingParty) Assert(credential string, judge func(challenge []byte) error, find Owner) (storage.User, storage.Passkey, error) {
	if len(credential) > maxCredential {
		return storage.User{}, storage.Passkey{}, fmt.Errorf("%w: too long", ErrRefused)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(credential))
	if err != nil {
		return storage.User{}, storage.Passkey{}, refuse(err)
	}
	sent, err := challenge(parsed.Response.CollectedClientData)
	if err != nil {
		return storage.User{}, storage.Passkey{}, err
	}
	if err := judge(sent); err != nil {
		return storage.User{}, storage.Passkey{}, err
	}
	_, session, err := p.request(sent)
	if err != nil {
		return storage.User{}, storage.Passkey{}, refuse(err)
	}
	user, keys, err := find(string(parsed.Response.UserHandle))
	if err != nil {
		return storage.User{}, storage.Passkey{}, err
	}
	used, err := p.webauthn.ValidateDiscoverableLogin(func([]byte, []byte) (webauthn.User, error) { return owner{user, keys}, nil }, *session, parsed)
	if err != nil {
		return storage.User{}, storage.Passkey{}, refuse(err)
	}
	key := storage.Passkey{ID: used.ID, UserID: user.ID, SignCount: used.Authenticator.SignCount, Flags: uint8(used.Flags.ProtocolValue())}
	if used.Authenticator.CloneWarning {
		return user, key, ErrCloned
	}
	return user, key, nil
}
