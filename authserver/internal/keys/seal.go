package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrSealKey says that a signing key was sealed under a seal key that is
	// not among [Config].Seal.
	ErrSealKey = errors.New("sealed under a seal key that is not configured; add that seal key behind the current one, or withdraw the signing key with `gatehouse keys retire`")

	// ErrSealBroken says that a sealed signing key is not what was stored
	// under its kid: changed, truncated or moved from another row.
	ErrSealBroken = errors.New("its sealed private key was changed in the store; restore the row, or withdraw the signing key with `gatehouse keys retire`")
)

const (
	sealKeySize = 32 // bytes of a seal key, and of the AES-256 key derived from it
	sealIDSize  = 4  // bytes in front of a sealed blob that tell which seal key opens it
)

// sealer seals private keys under its first key and opens them under any.
//
// A sealed blob is the id of the seal key, a random nonce of 96 bits, the
// ciphertext and the tag (AES-256-GCM). The kid is the additional data, so
// that a blob opens only in its own row.
type sealer struct {
	redacted
	keys []sealKey
}

type sealKey struct {
	id   []byte
	aead cipher.AEAD
}

// newSealer derives (RFC 5869) the cipher's key and its id from each seal key:
// the id tells nothing about the key, and the same seal key may serve other
// purposes elsewhere.
func newSealer(seal [][]byte) (sealer, error) {
	var s sealer
	if len(seal) == 0 {
		return s, errors.New("keys: a seal key is required")
	}
	for i, secret := range seal {
		if len(secret) != sealKeySize {
			return s, fmt.Errorf("keys: seal key %d has %d bytes, not %d", i+1, len(secret), sealKeySize)
		}
		derived, err := hkdf.Key(sha256.New, secret, nil, "gatehouse signing key seal", sealKeySize+sealIDSize)
		if err != nil {
			return s, err
		}
		block, err := aes.NewCipher(derived[:sealKeySize])
		if err != nil {
			return s, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return s, err
		}
		s.keys = append(s.keys, sealKey{id: derived[sealKeySize:], aead: aead})
	}
	return s, nil
}

// seal returns plain sealed under the first key and bound to kid.
func (s sealer) seal(kid string, plain []byte) []byte {
	first := s.keys[0]
	return first.aead.Seal(bytes.Clone(first.id), nil, plain, []byte(kid)) //nolint:gosec // NewGCMWithRandomNonce takes no nonce
}

// open returns what was sealed for kid; [ErrSealKey] or [ErrSealBroken].
func (s sealer) open(kid string, sealed []byte) ([]byte, error) {
	err := ErrSealKey
	for _, k := range s.keys {
		blob, ours := bytes.CutPrefix(sealed, k.id)
		if !ours {
			continue
		}
		if plain, failed := k.aead.Open(nil, nil, blob, []byte(kid)); failed == nil {
			return plain, nil
		}
		err = ErrSealBroken
	}
	return nil, err
}

// redacted, embedded, keeps a type that holds secrets out of every print and
// every log, whatever the verb or handler.
type redacted struct{}

func (redacted) Format(w fmt.State, _ rune)   { _, _ = io.WriteString(w, "[redacted]") }
func (redacted) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
