package keys

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
	"github.com/gatehouse-mcp/gatehouse/storage/sqlite"
)

// rows is an embedded store in memory.
type rows struct{ *sqlite.Store }

func newRows(t testing.TB) *rows {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlite.Memory})
	must(t, err)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rows{db}
}

// change does to a row what only someone inside the database can.
func (s *rows) change(t testing.TB, kid string, f func(*storage.Key)) {
	t.Helper()
	all, err := s.Keys(t.Context())
	must(t, err)
	i := slices.IndexFunc(all, func(k storage.Key) bool { return k.KID == kid })
	f(&all[i])
	must(t, s.RemoveKey(t.Context(), kid))
	must(t, s.CreateKey(t.Context(), all[i]))
}

const (
	day      = 24 * time.Hour
	rotation = 30 * day
	overlap  = day
	lifetime = 2 * time.Hour
)

var (
	start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	sealA = []byte("seal key A, thirty-two bytes long")[:32]
	sealB = []byte("seal key B, thirty-two bytes long")[:32]
)

func config(s storage.Keys, alg string) Config {
	return Config{Store: s, Seal: [][]byte{sealA}, Alg: alg, Rotation: rotation, Overlap: overlap, Lifetime: lifetime}
}

func open(t testing.TB, cfg Config, now time.Time) *Ring {
	t.Helper()
	r, err := Open(t.Context(), cfg, now)
	must(t, err)
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type claims struct {
	Subject string `json:"sub"`
}

func signed(t testing.TB, r *Ring, now time.Time) string {
	t.Helper()
	token, err := r.Sign("at+jwt", claims{"alice"}, now)
	must(t, err)
	return token
}

// signer returns the kid that r signs with.
func signer(t testing.TB, r *Ring, now time.Time) string {
	t.Helper()
	segment, _, _ := strings.Cut(signed(t, r, now), ".")
	text, err := strict.DecodeString(segment)
	must(t, err)
	var header struct{ Kid string }
	must(t, json.Unmarshal(text, &header))
	return header.Kid
}

// published returns the kids in r's JWK Set.
func published(t testing.TB, r *Ring, now time.Time) []string {
	t.Helper()
	var set struct{ Keys []struct{ Kid string } }
	must(t, json.Unmarshal(r.JWKS(now), &set))
	kids := []string{}
	for _, k := range set.Keys {
		kids = append(kids, k.Kid)
	}
	return kids
}

// stored returns the kids in the store.
func stored(t testing.TB, s storage.Keys) []string {
	t.Helper()
	all, err := s.Keys(t.Context())
	must(t, err)
	kids := []string{}
	for _, k := range all {
		kids = append(kids, k.KID)
	}
	return kids
}

func equal(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

// verify is Ring.Verify for tests that have no use for the kid.
func verify(r *Ring, token, typ string, now time.Time, claims any) error {
	_, err := r.Verify(token, typ, now, claims)
	return err
}
