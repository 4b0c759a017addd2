package oauthclient

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// assertionLifetime is short: an assertion is used once and at once.
const assertionLifetime = time.Minute

// Key is a client's private key for private_key_jwt.
type Key struct {
	key   crypto.Signer
	keyID string
	alg   jose.SignatureAlgorithm
}

// ParseKey reads a private key as JWK (RFC 7517, with its kid and alg) or PEM
// (PKCS #8, PKCS #1 or SEC 1): P-256, Ed25519, or RSA of at least 2048 bits.
func ParseKey(data []byte) (*Key, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		var jwk jose.JSONWebKey
		if err := json.Unmarshal(data, &jwk); err != nil {
			return nil, fmt.Errorf("not a JWK: %w", err)
		}
		return newKey(jwk.Key, jwk.KeyID, jose.SignatureAlgorithm(jwk.Algorithm))
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("neither a JWK nor a PEM file")
	}
	for _, parse := range []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
		func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
	} {
		if key, err := parse(block.Bytes); err == nil {
			return newKey(key, "", "")
		}
	}
	return nil, fmt.Errorf("the PEM block %q is no private key", block.Type)
}

func newKey(key any, keyID string, alg jose.SignatureAlgorithm) (*Key, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve.Params().BitSize != 256 {
			return nil, errors.New("an EC key must be on P-256")
		}
		return &Key{k, keyID, jose.ES256}, nil
	case ed25519.PrivateKey:
		return &Key{k, keyID, jose.EdDSA}, nil
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return nil, errors.New("an RSA key needs at least 2048 bits")
		}
		if alg != jose.PS256 {
			alg = jose.RS256
		}
		return &Key{k, keyID, alg}, nil
	}
	return nil, errors.New("not a private P-256, Ed25519 or RSA key")
}

// assertion makes the JWT of RFC 7523 §2.2. Its audience is the issuer, not
// the token endpoint: a server can lie about its endpoints but not about its
// name, which discovery has checked.
func (k *Key) assertion(clientID, issuer string, now time.Time) (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if k.keyID != "" {
		options = options.WithHeader("kid", k.keyID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: k.key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: clientID, Subject: clientID, Audience: jwt.Audience{issuer}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLifetime)),
	}).Serialize()
}
