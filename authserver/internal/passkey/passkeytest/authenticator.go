// Package passkeytest is an authenticator in software, with the browser in
// front of it: what navigator.credentials would answer, and every way to answer
// wrong (W3C Web Authentication Level 3 §6).
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Flags of authenticator data (§6.1).
const (
	present  = 1 << 0
	verified = 1 << 2
	attested = 1 << 6
)

// idSize is the length of a credential id in bytes.
const idSize = 16

// Authenticator holds one passkey. Its exported fields may be changed between
// ceremonies.
type Authenticator struct {
	Origin     string // of the page
	Host       string // relying party id that it signs for
	Unverified bool   // leaves out user verification
	Embedded   bool   // the page is in another origin's frame
	Counter    uint32 // of signatures; 0: it has none
	UserHandle []byte

	id  []byte
	key *ecdsa.PrivateKey
}

// New returns an authenticator for a host's pages.
func New(host, origin string) (*Authenticator, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a := &Authenticator{Origin: origin, Host: host, id: make([]byte, idSize), key: key}
	rand.Read(a.id)
	return a, err
}

// ID is the credential id.
func (a *Authenticator) ID() []byte { return a.id }

// creation and request are the members of options that an authenticator reads.
type creation struct {
	Challenge string `json:"challenge"`
	User      struct {
		ID string `json:"id"`
	} `json:"user"`
}

type request struct {
	Challenge string `json:"challenge"`
}

// Create is navigator.credentials.create: the JSON of the new credential, with
// attestation "none".
func (a *Authenticator) Create(options string) (string, error) {
	var asked creation
	if err := json.Unmarshal([]byte(options), &asked); err != nil {
		return "", err
	}
	var err error
	if a.UserHandle, err = base64.RawURLEncoding.DecodeString(asked.User.ID); err != nil {
		return "", err
	}
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
	public, err := webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: point[1:33], YCoord: point[33:],
	})
	if err != nil {
		return "", err
	}
	data := a.data(attested)
	data = append(data, make([]byte, 16)...) // AAGUID
	data = binary.BigEndian.AppendUint16(data, idSize)
	data = append(append(data, a.id...), public...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		return "", err
	}
	return a.credential(map[string]any{
		"clientDataJSON": b64(a.client("webauthn.create", asked.Challenge)), "attestationObject": b64(object), "transports": []string{"internal"},
	})
}

// Get is navigator.credentials.get: the JSON of an assertion.
func (a *Authenticator) Get(options string) (string, error) {
	var asked request
	if err := json.Unmarshal([]byte(options), &asked); err != nil {
		return "", err
	}
	if a.Counter > 0 {
		a.Counter++
	}
	data, client := a.data(0), a.client("webauthn.get", asked.Challenge)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		return "", err
	}
	return a.credential(map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(a.UserHandle),
	})
}

// data is authenticator data (§6.1).
func (a *Authenticator) data(flags byte) []byte {
	flags |= present
	if !a.Unverified {
		flags |= verified
	}
	host := sha256.Sum256([]byte(a.Host))
	return binary.BigEndian.AppendUint32(append(host[:], flags), a.Counter)
}

// client is the JSON of client data (§5.8.1).
func (a *Authenticator) client(ceremony, challenge string) []byte {
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":%t}`, ceremony, challenge, a.Origin, a.Embedded)
}

func (a *Authenticator) credential(response map[string]any) (string, error) {
	encoded, err := json.Marshal(map[string]any{
		"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}}, "response": response,
	})
	return string(encoded), err
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
