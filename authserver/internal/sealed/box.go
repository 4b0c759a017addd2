// Package sealed keeps values that leave the server's hands, in a cookie, a
// hidden field or a database row, secret and unchanged (AES-256-GCM), and makes
// the server's half of refresh tokens (HMAC-SHA-256). Every purpose has keys of
// its own, derived (RFC 5869) from the server's seal keys: the first seals and
// signs, all open and verify, so that a seal key can be replaced.
//
// It refuses to know what the values mean.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrOpen says that a value is not one that this server sealed for that
// purpose, or that it is out of its time.
var ErrOpen = errors.New("sealed: not a value of this server in its time")

// keyIDSize bytes in front of what a key has made tell which one it was.
const keyIDSize = 4

// Box seals and opens. It is immutable.
type Box struct{ keys []key }

type key struct {
	id     [keyIDSize]byte
	secret []byte
}

// New derives a Box from seal keys of 32 bytes each.
func New(seal [][]byte) (*Box, error) {
	if len(seal) == 0 {
		return nil, errors.New("sealed: a seal key is required")
	}
	box := &Box{}
	for i, secret := range seal {
		if len(secret) != sha256.Size {
			return nil, fmt.Errorf("sealed: seal key %d has %d bytes, not %d", i+1, len(secret), sha256.Size)
		}
		derived, err := hkdf.Key(sha256.New, secret, nil, "gatehouse sealed values", sha256.Size+keyIDSize)
		if err != nil {
			return nil, err
		}
		box.keys = append(box.keys, key{[keyIDSize]byte(derived[sha256.Size:]), derived[:sha256.Size]})
	}
	return box, nil
}

// aead returns the cipher of a purpose.
func (k key) aead(purpose string) (cipher.AEAD, error) {
	derived, err := hkdf.Expand(sha256.New, k.secret, "seal "+purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal returns plain sealed for purpose; bound names what it belongs to (a row,
// a browser) and must be the same when it is opened.
func (b *Box) Seal(purpose, bound string, plain []byte) ([]byte, error) {
	aead, err := b.keys[0].aead(purpose)
	if err != nil {
		return nil, err
	}
	return aead.Seal(b.keys[0].id[:], nil, plain, []byte(bound)), nil //nolint:gosec // NewGCMWithRandomNonce takes no nonce
}

// Open returns what was sealed, or [ErrOpen].
func (b *Box) Open(purpose, bound string, sealed []byte) ([]byte, error) {
	if len(sealed) < keyIDSize {
		return nil, ErrOpen
	}
	for _, k := range b.keys {
		if k.id != [keyIDSize]byte(sealed[:keyIDSize]) {
			continue
		}
		aead, err := k.aead(purpose)
		if err != nil {
			return nil, err
		}
		if plain, err := aead.Open(nil, nil, sealed[keyIDSize:], []byte(bound)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrOpen
}

// dated is a value that is good until a time.
type dated struct {
	Until int64           `json:"u"` // Unix seconds
	Value json.RawMessage `json:"v"`
}

// SealValue returns value as JSON, sealed, in unpadded base64url, good until a
// time.
func (b *Box) SealValue(purpose, bound string, value any, until time.Time) (string, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(dated{until.Unix(), raw})
	if err != nil {
		return "", err
	}
	sealed, err := b.Seal(purpose, bound, plain)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// OpenValue is the reverse of SealValue, or [ErrOpen].
func (b *Box) OpenValue(purpose, bound, text string, now time.Time, value any) error {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return ErrOpen
	}
	plain, err := b.Open(purpose, bound, sealed)
	if err != nil {
		return err
	}
	var d dated
	if err := json.Unmarshal(plain, &d); err != nil || now.Unix() >= d.Until {
		return ErrOpen
	}
	return json.Unmarshal(d.Value, value)
}

// KeyID names the key that MACs are made with now.
func (b *Box) KeyID() [keyIDSize]byte { return b.keys[0].id }

// MAC returns the HMAC-SHA-256 of message for purpose under the key named id;
// ok is false when there is no such key.
func (b *Box) MAC(id [keyIDSize]byte, purpose string, message []byte) (mac [sha256.Size]byte, ok bool) {
	for _, k := range b.keys {
		if k.id != id {
			continue
		}
		derived, err := hkdf.Expand(sha256.New, k.secret, "mac "+purpose, sha256.Size)
		if err != nil {
			return mac, false
		}
		h := hmac.New(sha256.New, derived)
		h.Write(message)
		return [sha256.Size]byte(h.Sum(nil)), true
	}
	return mac, false
}

// NewHandle returns 256 random bits in unpadded base64url, and the SHA-256 by
// which a store knows them.
func NewHandle() (handle string, hash [32]byte) {
	var raw [32]byte
	rand.Read(raw[:])
	handle = base64.RawURLEncoding.EncodeToString(raw[:])
	return handle, sha256.Sum256([]byte(handle))
}
