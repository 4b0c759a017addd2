package keys

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

// fixed returns a ring whose only key is always the same, so that a corpus
// keeps its meaning.
func fixed(t testing.TB) *Ring {
	t.Helper()
	private := ed25519.NewKeyFromSeed(sealB)
	kid, public, err := publish(EdDSA, private)
	must(t, err)
	plain, err := json.Marshal(jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: EdDSA})
	must(t, err)
	s, err := newSealer([][]byte{sealA})
	must(t, err)
	db := newRows(t)
	must(t, db.CreateKey(t.Context(), storage.Key{
		KID: kid, Alg: EdDSA, Generation: 1, Public: public, Sealed: s.seal(kid, plain), CreatedAt: start, ActivateAt: start,
	}))
	return open(t, config(db, EdDSA), start)
}

// FuzzVerify: what verifies is, byte for byte, what was signed.
func FuzzVerify(f *testing.F) {
	r := fixed(f)
	token := signed(f, r, start)
	f.Add(token)
	f.Add(strings.ToUpper(token))
	f.Add(token + "=")
	f.Add(forge(f, r, `{"alg":"$alg","alg":"$alg","kid":"$kid","typ":"at+jwt"}`, `{}`))
	f.Add(forge(f, r, `{"alg":"$alg","kid":"$kid","typ":"at+jwt","crit":["b64"],"b64":false}`, `{}`))
	f.Add(forge(f, r, `{"alg":"$alg","kid":"$kid","typ":"at+jwt","jwk":{"kty":"oct","k":"AA"}}`, `{}`))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(`{"protected":"e30","payload":"e30","signature":""}`)
	f.Fuzz(func(t *testing.T, input string) {
		var got claims
		if err := verify(r, input, "at+jwt", start, &got); err == nil && input != token {
			t.Fatalf("accepted %q", input)
		} else if err != nil {
			refused(t, err)
		}
	})
}
