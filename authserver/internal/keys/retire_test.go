package keys

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-mcp/gatehouse/storage"
)

func refused(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, ErrToken) {
		t.Fatalf("got %v, want ErrToken", err)
	}
}

func TestRetire_ActiveKeyIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	bad, token := signer(t, r, start), signed(t, r, start)
	now := start.Add(time.Hour)
	must(t, db.RetireKey(t.Context(), bad, now))
	must(t, r.Refresh(t.Context(), now))
	kids := stored(t, db)
	if len(kids) != 2 {
		t.Fatalf("stored %q", kids)
	}
	equal(t, "published", published(t, r, now), kids[1])
	equal(t, "signs", []string{signer(t, r, now)}, kids[1])
	refused(t, verify(r, token, "at+jwt", now, nil))

	must(t, r.Refresh(t.Context(), now.Add(lifetime)))
	equal(t, "stored in the end", stored(t, db), kids[1])
}

func TestRetire_OlderKeyDoesNotReturn(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	first := signer(t, r, start)
	now := start.Add(time.Hour)
	second, err := r.Rotate(t.Context(), now, now)
	must(t, err)
	must(t, db.RetireKey(t.Context(), second.KID, now.Add(time.Minute)))
	must(t, r.Refresh(t.Context(), now.Add(time.Minute)))
	if got := signer(t, r, now.Add(time.Minute)); got == first || got == second.KID {
		t.Fatal("a key signs again whose end is settled")
	}
}

func TestRetire_WaitingKeyNeverSigns(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	first := signer(t, r, start)
	due := start.Add(rotation - overlap)
	must(t, r.Refresh(t.Context(), due))
	must(t, db.RetireKey(t.Context(), stored(t, db)[1], due.Add(time.Second)))
	must(t, r.Refresh(t.Context(), due.Add(time.Minute)))
	kids := stored(t, db)
	if len(kids) != 3 {
		t.Fatalf("stored %q, want another successor", kids)
	}
	equal(t, "published", published(t, r, due.Add(time.Minute)), first, kids[2])
	equal(t, "signs", []string{signer(t, r, due.Add(overlap))}, first)
	equal(t, "signs then", []string{signer(t, r, due.Add(overlap+time.Minute))}, kids[2])
}

func TestRetire_WaitingKeyDoesNotEndItsPredecessor(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	first := signer(t, r, start)
	waiting, err := r.Rotate(t.Context(), start, start.Add(time.Hour))
	must(t, err)
	must(t, db.RetireKey(t.Context(), waiting.KID, start.Add(time.Minute)))
	now := start.Add(time.Hour + lifetime)
	must(t, r.Refresh(t.Context(), now))
	equal(t, "published", published(t, r, now), first)
	equal(t, "signs", []string{signer(t, r, now)}, first)
	equal(t, "stored", stored(t, db), first, waiting.KID) // its generation is not used again
}

func TestRetire_WithoutSuccessorNothingSigns(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	must(t, db.RetireKey(t.Context(), signer(t, r, start), start))
	if _, err := r.load(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Sign("at+jwt", claims{"alice"}, start); !errors.Is(err, ErrNoKey) {
		t.Fatalf("got %v, want ErrNoKey", err)
	}
	if got := string(r.JWKS(start)); got != `{"keys":[]}` {
		t.Fatalf("published %s", got)
	}
}

func TestRetire_TakesEffectBesideABrokenKey(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	bad, token := signer(t, r, start), signed(t, r, start)
	good, err := r.Rotate(t.Context(), start, start)
	must(t, err)
	must(t, db.CreateKey(t.Context(), storage.Key{KID: "garbage", Alg: ES256, Generation: 3, Public: []byte("{}"), Sealed: []byte("garbage"), ActivateAt: start}))
	must(t, db.RetireKey(t.Context(), bad, start))
	if err := r.Refresh(t.Context(), start); !errors.Is(err, ErrSealKey) {
		t.Fatalf("got %v, want ErrSealKey", err)
	}
	refused(t, verify(r, token, "at+jwt", start, nil))
	equal(t, "published", published(t, r, start), good.KID)
	equal(t, "signs", []string{signer(t, r, start)}, good.KID)
}

func TestRotate_ByHand(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	first := signer(t, r, start)
	waiting, err := r.Rotate(t.Context(), start, start.Add(time.Hour))
	must(t, err)
	equal(t, "published at once", published(t, r, start), first, waiting.KID)
	equal(t, "signs until then", []string{signer(t, r, start.Add(time.Hour-time.Second))}, first)
	equal(t, "signs then", []string{signer(t, r, start.Add(time.Hour))}, waiting.KID)

	// A key that is to sign at once overtakes the waiting one for good.
	now := start.Add(time.Minute)
	urgent, err := r.Rotate(t.Context(), now, time.Time{})
	must(t, err)
	if urgent.Generation != 3 || !urgent.ActivateAt.Equal(now) {
		t.Fatalf("generation %d active at %s", urgent.Generation, urgent.ActivateAt)
	}
	equal(t, "signs now", []string{signer(t, r, now)}, urgent.KID)
	equal(t, "signs later", []string{signer(t, r, start.Add(time.Hour))}, urgent.KID)
	must(t, r.Refresh(t.Context(), now.Add(lifetime)))
	equal(t, "stored in the end", stored(t, db), urgent.KID)

	if _, err := r.Rotate(t.Context(), now, now.Add(rotation+time.Second)); err == nil {
		t.Fatal("scheduled further ahead than a rotation")
	}
}

func TestRotate_EachKeyEndsWithItsOwnSuccessor(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, ES256), start)
	second, err := r.Rotate(t.Context(), start, start.Add(time.Hour))
	must(t, err)
	third, err := r.Rotate(t.Context(), start, start.Add(10*time.Hour))
	must(t, err)
	now := start.Add(time.Hour + lifetime)
	equal(t, "signs", []string{signer(t, r, now)}, second.KID)
	equal(t, "published", published(t, r, now), second.KID, third.KID)
}

func TestSign_ClockBehindTheReplicaThatCreatedTheKey(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	ahead := open(t, config(db, ES256), start)
	behind := open(t, config(db, ES256), start.Add(-skew))
	equal(t, "stored", stored(t, db), signer(t, ahead, start))
	equal(t, "signs", []string{signer(t, behind, start.Add(-skew))}, stored(t, db)...)
}
