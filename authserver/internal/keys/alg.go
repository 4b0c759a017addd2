package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// The JWS algorithms (RFC 7518 §3.1, RFC 8037 §3.1) a key can have.
const (
	ES256 = "ES256" // ECDSA with P-256 and SHA-256
	EdDSA = "EdDSA" // Ed25519
	PS256 = "PS256" // RSASSA-PSS with SHA-256
	RS256 = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
)

// rsaBits is the size of new RSA keys and the least that is accepted (RFC 7518
// §3.3). 3072 bits cost three times as much for each signature, and a
// modulus of 2048 bits outlasts a key that signs for weeks.
const rsaBits = 2048

// accepted is the allow-list that every token is parsed with.
var accepted = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}

// Algorithms returns the JWS algorithms that keys can have, the preferred one
// first.
func Algorithms() []string { return []string{ES256, EdDSA, PS256, RS256} }

// Supported reports whether alg is one of [Algorithms].
func Supported(alg string) bool { return slices.Contains(Algorithms(), alg) }

// generate makes a new private key for alg. It takes about 0.1 s for RSA.
func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case PS256, RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("keys: algorithm %q is not one of %v", alg, Algorithms())
}

// fits reports whether a private key is of the kind that alg needs.
func fits(alg string, private any) bool {
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		return alg == ES256 && k.Curve == elliptic.P256()
	case ed25519.PrivateKey:
		return alg == EdDSA
	case *rsa.PrivateKey:
		return (alg == PS256 || alg == RS256) && k.N.BitLen() >= rsaBits
	}
	return false
}

// sign returns the JWS signature (RFC 7518 §3) of input.
func sign(alg string, private crypto.Signer, input []byte) ([]byte, error) {
	if alg == EdDSA {
		return private.Sign(nil, input, crypto.Hash(0))
	}
	digest := sha256.Sum256(input)
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest[:])
		if err != nil {
			return nil, err
		}
		sig := make([]byte, 64) // both padded to the size of the curve (RFC 7518 §3.4)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return sig, nil
	case *rsa.PrivateKey:
		if alg == PS256 {
			return rsa.SignPSS(rand.Reader, k, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:])
	}
	return nil, fmt.Errorf("keys: no signature of algorithm %q with %T", alg, private)
}
