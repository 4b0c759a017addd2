package clientmetadata

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys    = 32
	minRSABits = 2048 // NIST SP 800-131A
	maxRSABits = 8192 // verifying with more is work for an attacker to cause
)

// Keys reads a JSON Web Key Set (RFC 7517) and skips the keys that it cannot
// use (§5): unknown types, symmetric, private, weak and encryption keys. It
// returns nil when nothing remains.
func Keys(document []byte) []jose.JSONWebKey {
	var keys []jose.JSONWebKey
	for _, raw := range rawKeys(document) {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && key.Valid() && key.IsPublic() && key.Use != "enc" && measured(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// measured reports whether the size of an RSA key makes sense.
func measured(key jose.JSONWebKey) bool {
	public, isRSA := key.Key.(*rsa.PublicKey)
	return !isRSA || (public.N.BitLen() >= minRSABits && public.N.BitLen() <= maxRSABits)
}

// rawKeys returns the first maxKeys keys of a set.
func rawKeys(document []byte) []json.RawMessage {
	var set map[string]json.RawMessage
	var keys []json.RawMessage
	if json.Unmarshal(document, &set) != nil || json.Unmarshal(set["keys"], &keys) != nil {
		return nil
	}
	return keys[:min(len(keys), maxKeys)]
}

// checkKeys returns a key set that a client gave inline, without white space.
// Whoever publishes a private or symmetric key has given it away; such a set is
// refused as a whole.
func checkKeys(document []byte) ([]byte, error) {
	for _, raw := range rawKeys(document) {
		var key map[string]json.RawMessage
		if json.Unmarshal(raw, &key) != nil {
			return nil, errors.New("a key is not an object")
		}
		for _, private := range [...]string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
			if _, found := key[private]; found {
				return nil, errors.New("the key set has private or symmetric key material")
			}
		}
	}
	if len(Keys(document)) == 0 {
		return nil, errors.New("the key set has no public key that this server can use")
	}
	var compact bytes.Buffer
	err := json.Compact(&compact, document)
	return compact.Bytes(), err
}
