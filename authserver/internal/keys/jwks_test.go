package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/MicahParks/jwkset"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func TestJWKS_IndependentVerifiersAccept(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			r := open(t, config(newRows(t), alg), start)
			token := signed(t, r, start)
			byGoJose(t, r.JWKS(start), alg, token)
			byStandardLibrary(t, r.JWKS(start), alg, token)
		})
	}
}

func TestSign_RFC7518_3_4_ShortIntegersArePadded(t *testing.T) {
	t.Parallel()
	r := open(t, config(newRows(t), ES256), start)
	for range 50_000 { // one of 256 is short
		token := signed(t, r, start)
		sig, err := strict.DecodeString(token[strings.LastIndex(token, ".")+1:])
		must(t, err)
		if sig[0] == 0 {
			byStandardLibrary(t, r.JWKS(start), ES256, token)
			return
		}
	}
	t.Fatal("no signature began with a zero")
}

func byGoJose(t *testing.T, jwks []byte, alg, token string) {
	t.Helper()
	var set jose.JSONWebKeySet
	must(t, json.Unmarshal(jwks, &set))
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	must(t, err)
	var got claims
	must(t, parsed.Claims(set, &got))
	if got.Subject != "alice" {
		t.Fatalf("claims %+v", got)
	}
	static := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{set.Keys[0].Key}}
	_, err = static.VerifySignature(t.Context(), token)
	must(t, err)
}

// byStandardLibrary shares nothing with the code under test but crypto: the JWK
// is read by jwkset.
func byStandardLibrary(t *testing.T, jwks []byte, alg, token string) {
	t.Helper()
	var set struct{ Keys []json.RawMessage }
	must(t, json.Unmarshal(jwks, &set))
	key, err := jwkset.NewJWKFromRawJSON(set.Keys[0], jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	must(t, err)
	dot := strings.LastIndex(token, ".")
	sig, err := strict.DecodeString(token[dot+1:])
	must(t, err)
	digest := sha256.Sum256([]byte(token[:dot]))
	ok := false
	switch public := key.Key().(type) {
	case *ecdsa.PublicKey:
		ok = alg == ES256 && len(sig) == 64 &&
			ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case ed25519.PublicKey:
		ok = alg == EdDSA && ed25519.Verify(public, []byte(token[:dot]), sig)
	case *rsa.PublicKey:
		if alg == PS256 {
			ok = rsa.VerifyPSS(public, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: sha256.Size}) == nil
		} else {
			ok = alg == RS256 && rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig) == nil
		}
	}
	if !ok {
		t.Fatalf("%s: %T does not verify", alg, key.Key())
	}
}

func TestJWKS_RFC7517_PublicMembersOnly(t *testing.T) {
	t.Parallel()
	for alg, members := range map[string][]string{
		ES256: {"alg", "crv", "kid", "kty", "use", "x", "y"},
		EdDSA: {"alg", "crv", "kid", "kty", "use", "x"},
		PS256: {"alg", "e", "kid", "kty", "n", "use"},
		RS256: {"alg", "e", "kid", "kty", "n", "use"},
	} {
		db := newRows(t)
		r := open(t, config(db, alg), start)
		var set struct{ Keys []map[string]string }
		must(t, json.Unmarshal(r.JWKS(start), &set))
		all, err := db.Keys(t.Context())
		must(t, err)
		var row map[string]string
		must(t, json.Unmarshal(all[0].Public, &row))
		for _, jwk := range []map[string]string{set.Keys[0], row} {
			var got []string
			for name := range jwk {
				got = append(got, name)
			}
			slices.Sort(got)
			equal(t, alg, got, members...)
			equal(t, alg, []string{jwk["alg"], jwk["use"]}, alg, "sig")
		}
	}
}

func TestJWKS_RFC7638_KidIsTheThumbprint(t *testing.T) {
	t.Parallel()
	for alg, required := range map[string][]string{
		ES256: {"crv", "kty", "x", "y"}, EdDSA: {"crv", "kty", "x"}, RS256: {"e", "kty", "n"},
	} {
		r := open(t, config(newRows(t), alg), start)
		var set struct{ Keys []map[string]string }
		must(t, json.Unmarshal(r.JWKS(start), &set))
		var members []string
		for _, name := range required {
			members = append(members, fmt.Sprintf("%q:%q", name, set.Keys[0][name]))
		}
		sum := sha256.Sum256([]byte("{" + strings.Join(members, ",") + "}"))
		equal(t, alg, []string{set.Keys[0]["kid"]}, strict.EncodeToString(sum[:]))
	}
}

func TestJWKS_RFC7518_3_3_RSAModulus(t *testing.T) {
	t.Parallel()
	private, err := generate(PS256)
	must(t, err)
	if bits := private.(*rsa.PrivateKey).N.BitLen(); bits < 2048 || !fits(PS256, private) {
		t.Fatalf("%d bits", bits)
	}
	if fits(ES256, private) || fits(EdDSA, private) {
		t.Fatal("an RSA key fits another algorithm")
	}
}
