package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func TestSeal_KeyRotation(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	with := func(seal ...[]byte) Config {
		cfg := config(db, ES256)
		cfg.Seal = seal
		return cfg
	}
	old := signer(t, open(t, with(sealA), start), start)

	_, err := Open(t.Context(), with(sealB), start)
	if !errors.Is(err, ErrSealKey) || !strings.Contains(err.Error(), old) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v, want one line of ErrSealKey", err)
	}
	equal(t, "stored after the wrong seal key", stored(t, db), old)

	both := open(t, with(sealB, sealA), start)
	equal(t, "signs with both", []string{signer(t, both, start)}, old)
	next, err := both.Rotate(t.Context(), start, start)
	must(t, err)

	if _, err := Open(t.Context(), with(sealB), start.Add(lifetime-time.Second)); !errors.Is(err, ErrSealKey) {
		t.Fatalf("got %v: the old key is still published", err)
	}
	gone := open(t, with(sealB), start.Add(lifetime))
	equal(t, "signs with the new one", []string{signer(t, gone, start.Add(lifetime))}, next.KID)
	equal(t, "stored in the end", stored(t, db), next.KID)
}

func TestSeal_WithdrawingFreesFromALostSealKey(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	lost := signer(t, open(t, config(db, ES256), start), start)
	must(t, db.RetireKey(t.Context(), lost, start.Add(time.Second)))
	cfg := config(db, ES256)
	cfg.Seal = [][]byte{sealB}
	r := open(t, cfg, start.Add(time.Second))
	equal(t, "published", published(t, r, start.Add(time.Second)), stored(t, db)[1])
}

func TestSeal_EveryChangedByteIsNoticed(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	kid := signer(t, open(t, config(db, EdDSA), start), start)
	all, err := db.Keys(t.Context())
	must(t, err)
	sealed := all[0].Sealed
	reopen := func(blob []byte, want error) {
		t.Helper()
		db.change(t, kid, func(k *storage.Key) { k.Sealed = blob })
		if _, err := Open(t.Context(), config(db, EdDSA), start); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	for i := range sealed {
		changed, want := bytes.Clone(sealed), ErrSealBroken
		changed[i] ^= 1
		if i < sealIDSize {
			want = ErrSealKey
		}
		reopen(changed, want)
	}
	reopen(sealed[:sealIDSize+3], ErrSealBroken)
	reopen(sealed[:len(sealed)-1], ErrSealBroken)
	reopen([]byte{}, ErrSealKey)
	reopen(sealed, nil)
}

func TestSeal_BlobOpensOnlyInItsOwnRow(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	_, err := r.Rotate(t.Context(), start, start)
	must(t, err)
	all, err := db.Keys(t.Context())
	must(t, err)
	db.change(t, all[0].KID, func(k *storage.Key) { k.Sealed = all[1].Sealed })
	db.change(t, all[1].KID, func(k *storage.Key) { k.Sealed = all[0].Sealed })
	if _, err := Open(t.Context(), config(db, ES256), start); !errors.Is(err, ErrSealBroken) {
		t.Fatalf("got %v, want ErrSealBroken", err)
	}
	if err := r.Refresh(t.Context(), start); !errors.Is(err, ErrSealBroken) { // though it had opened both
		t.Fatalf("got %v, want ErrSealBroken", err)
	}
}

// Whoever can write to the database still cannot choose the keys.
func TestSeal_RowsOfAnIntruderAreNotTrusted(t *testing.T) {
	t.Parallel()
	db, his := newRows(t), newRows(t)
	r := open(t, config(db, RS256), start)
	own := signer(t, r, start)

	intruder := config(his, RS256)
	intruder.Seal = [][]byte{sealB}
	other := open(t, intruder, start)
	theirs, err := his.Keys(t.Context())
	must(t, err)
	planted := theirs[0]
	planted.Generation = 2
	must(t, db.CreateKey(t.Context(), planted))
	if err := r.Refresh(t.Context(), start); !errors.Is(err, ErrSealKey) {
		t.Fatalf("got %v, want ErrSealKey", err)
	}
	equal(t, "published", published(t, r, start), own)
	refused(t, verify(r, signed(t, other, start), "at+jwt", start, nil))
	must(t, db.RemoveKey(t.Context(), planted.KID))

	db.change(t, own, func(k *storage.Key) { k.Public = planted.Public })
	equal(t, "published", published(t, open(t, config(db, RS256), start), start), own)
	db.change(t, own, func(k *storage.Key) { k.Alg = PS256 })
	_, err = Open(t.Context(), config(db, RS256), start)
	if err == nil || r.Refresh(t.Context(), start) == nil {
		t.Fatal("another algorithm for the same key was accepted")
	}
}

func TestSecrets_AreNeverPrinted(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	cfg := config(db, EdDSA)
	r := open(t, cfg, start)
	k := &r.snap.Load().keys[0]
	private := k.private.(ed25519.PrivateKey)
	for _, v := range []any{cfg, r, k, r.snap.Load(), r.sealer} {
		equal(t, fmt.Sprintf("%T", v), []string{fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v)}, "[redacted]", "[redacted]")
	}
	for _, v := range []any{cfg, &cfg, r, k, *k, r.snap.Load(), *r.snap.Load(), r.sealer, struct{ R *Ring }{r}, []any{cfg, r}, []*key{k}} {
		var text strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%X", "%q"} {
			fmt.Fprintf(&text, verb, v)
		}
		encoded, err := json.Marshal(v)
		must(t, err)
		text.Write(encoded)
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&text, nil)).Info("x", "v", v)
		for _, secret := range [][]byte{sealA, private.Seed()} {
			for _, form := range []string{
				string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
				base64.StdEncoding.EncodeToString(secret), strict.EncodeToString(secret),
				strings.Trim(fmt.Sprint(secret), "[]"), strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}"),
			} {
				if strings.Contains(text.String(), form) {
					t.Errorf("%T prints a secret", v)
				}
			}
		}
	}
}

// One base64url text in 64 begins with a dash; a kid is typed on command lines.
func TestCreate_KidNeverLooksLikeAFlag(t *testing.T) {
	t.Parallel()
	s, err := newSealer([][]byte{sealA})
	must(t, err)
	for range 500 {
		k, err := create(EdDSA, s)
		must(t, err)
		if strings.HasPrefix(k.KID, "-") {
			t.Fatalf("kid %s", k.KID)
		}
	}
}
