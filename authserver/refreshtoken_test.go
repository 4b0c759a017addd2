package authserver

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/sealed"
	"github.com/gatehouse-mcp/gatehouse/storage"
)

func refresher(t testing.TB, seal ...byte) *Server {
	t.Helper()
	var keys [][]byte
	for _, b := range seal {
		keys = append(keys, bytes.Repeat([]byte{b}, 32))
	}
	box, err := sealed.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return &Server{sealed: box}
}

// authentic judges a rotation as a store does, see [storage.Rotation].
func authentic(g storage.Grant, r storage.Rotation) bool {
	tag := sha256.Sum256(append(g.Secret[:], r.Inner[:]...))
	return r.GrantID == g.ID && r.Generation == g.Generation && r.TagHash == sha256.Sum256(tag[:])
}

// A refresh token needs the seal key and the grant's secret; every replica
// makes the same one, and it names its grant and generation.
func TestRefreshToken_D5_Derivation(t *testing.T) {
	t.Parallel()
	s := refresher(t, 1)
	g := storage.Grant{ID: newGrantID(), Generation: 7, Secret: [32]byte{1}}
	token := s.newRefreshToken(g)
	r, ok := s.parseRefreshToken(token)
	if !ok || !authentic(g, r) || len(token) != 84 || token != refresher(t, 1).newRefreshToken(g) {
		t.Fatalf("%q: %v", token, ok)
	}
	other := g
	other.Secret[31]++
	if authentic(other, r) {
		t.Error("the secret of another grant makes the same token")
	}
	if _, ok := refresher(t, 2).parseRefreshToken(token); ok {
		t.Error("a token of a key that the server has not is looked up")
	}
	stolen, ok := refresher(t, 2).parseRefreshToken(refresher(t, 2).newRefreshToken(g)) // the row, but not the key
	if !ok || stolen.Inner == r.Inner {
		t.Error("another seal key makes the same MAC")
	}
	for what, g := range map[string]storage.Grant{
		"no generation": {ID: g.ID}, "too many": {ID: g.ID, Generation: 1 << 32}, "a foreign id": {ID: "AAAA", Generation: 1},
	} {
		if token := s.newRefreshToken(g); token != "" {
			t.Errorf("%s: %q", what, token)
		}
	}
}

// What parses is, byte for byte, what the server makes.
func FuzzParseRefreshToken(f *testing.F) {
	s := refresher(f, 1)
	g := storage.Grant{ID: newGrantID(), Generation: 1}
	token := s.newRefreshToken(g)
	for _, seed := range []string{token, token + "=", token[:40] + "\n" + token[40:], refreshPrefix, ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := s.parseRefreshToken(text)
		if !ok {
			return
		}
		if id := r.GrantID; len(id) != 22 || r.Generation < 0 || len(text) != len(token) {
			t.Fatalf("%q: %+v", text, r)
		}
		if authentic(g, r) && text != token {
			t.Fatalf("two tokens for one: %q", text)
		}
	})
}
