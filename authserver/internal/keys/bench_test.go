package keys

import (
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// access has the claims of an access token (RFC 9068 §2.2).
type access struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat"`
	ID       string `json:"jti"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

func sample() *access {
	return &access{
		"https://as.example", "client-123", "https://rs.example/mcp", 1800003600, 1800000000,
		"ZyXwVuTsRqPoNmLkJiHgFe", "client-123", "mcp:read mcp:write mcp:tools",
	}
}

// BenchmarkSign compares Sign with go-jose's signer, prepared in advance for
// the key and type.
func BenchmarkSign(b *testing.B) {
	claims := sample()
	for _, alg := range Algorithms() {
		r := open(b, config(newRows(b), alg), start)
		k := r.snap.Load().signing(start)
		b.Run(alg+"/gatehouse", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := r.Sign("at+jwt", claims, start)
				must(b, err)
			}
		})
		b.Run(alg+"/go-jose", func(b *testing.B) {
			prepared, err := jose.NewSigner(jose.SigningKey{
				Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: k.private, KeyID: k.KID},
			}, (&jose.SignerOptions{}).WithType("at+jwt"))
			must(b, err)
			b.ReportAllocs()
			for b.Loop() {
				payload, err := json.Marshal(claims)
				must(b, err)
				jws, err := prepared.Sign(payload)
				must(b, err)
				_, err = jws.CompactSerialize()
				must(b, err)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range Algorithms() {
		r := open(b, config(newRows(b), alg), start)
		token, err := r.Sign("at+jwt", sample(), start)
		must(b, err)
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var got access
				must(b, verify(r, token, "at+jwt", start, &got))
			}
		})
	}
}

func BenchmarkJWKS(b *testing.B) {
	r := open(b, config(newRows(b), ES256), start)
	b.ReportAllocs()
	for b.Loop() {
		_ = r.JWKS(start)
	}
}
