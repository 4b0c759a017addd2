package password

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

func TestHasher_RFC9106_HashesAndVerifies(t *testing.T) {
	t.Parallel()
	h := NewHasher()
	encoded, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(encoded, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("encoded %q", encoded)
	}
	if again, _ := h.Hash(t.Context(), "correct horse"); again == encoded {
		t.Error("two hashes share a salt")
	}
	if right, old, err := h.Verify(t.Context(), encoded, "correct horse"); !right || old || err != nil {
		t.Errorf("right password: %t %t %v", right, old, err)
	}
	for _, wrong := range []string{"", "correct horsf", strings.Repeat("x", MaxLength+1)} {
		if right, _, err := h.Verify(t.Context(), encoded, wrong); right || err != nil {
			t.Errorf("%.20q: %t %v", wrong, right, err)
		}
	}
}

func TestHasher_NobodyCostsTheSame(t *testing.T) {
	t.Parallel()
	type call struct {
		cost
		size uint32
	}
	var calls []call
	h := NewHasher()
	h.derive = func(_, _ []byte, passes, memory uint32, lanes uint8, size uint32) []byte {
		calls = append(calls, call{cost{memory, passes, lanes}, size})
		return make([]byte, size) // what an unknown user's hash is compared with
	}
	known, err := h.Hash(t.Context(), "password of somebody")
	if err != nil {
		t.Fatal(err)
	}
	for _, encoded := range []string{known, ""} {
		for _, typed := range []string{"x", strings.Repeat("x", 4096)} {
			if right, _, err := h.Verify(t.Context(), encoded, typed); right != (encoded != "") || err != nil {
				t.Errorf("%q: %t %v", encoded, right, err)
			}
		}
	}
	for _, c := range calls {
		if c != (call{current, keySize}) {
			t.Errorf("a hash cost %+v", c)
		}
	}
	if len(calls) != 5 || h.Count() != 5 {
		t.Errorf("%d hashes, counted %d, want 5", len(calls), h.Count())
	}
}

func TestHasher_OldHashesAreTold(t *testing.T) {
	t.Parallel()
	h := NewHasher()
	weak := hashed{cost: cost{memory: 64, passes: 1, lanes: 1}, salt: []byte("saltsalt")}
	key, err := h.run(t.Context(), "secret", weak.cost, weak.salt, 16)
	if err != nil {
		t.Fatal(err)
	}
	weak.key = key
	if right, old, err := h.Verify(t.Context(), weak.String(), "secret"); !right || !old || err != nil {
		t.Errorf("old hash: %t %t %v", right, old, err)
	}
	if _, old, _ := h.Verify(t.Context(), weak.String(), "wrong"); old {
		t.Error("a wrong password must not be hashed again")
	}
}

func TestParse_StrictAndBounded(t *testing.T) {
	t.Parallel()
	const salt, key = "c2FsdHNhbHRzYWx0c2FsdA", "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"
	good := "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key
	if h, err := parse(good); err != nil || h.String() != good || h.old() {
		t.Fatalf("%v %v", h, err)
	}
	for name, bad := range map[string]string{
		"4 GiB":            "$argon2id$v=19$m=4194304,t=2,p=1$" + salt + "$" + key,
		"many passes":      "$argon2id$v=19$m=19456,t=4000000,p=1$" + salt + "$" + key,
		"many lanes":       "$argon2id$v=19$m=19456,t=2,p=255$" + salt + "$" + key,
		"overflow":         "$argon2id$v=19$m=4294986752,t=2,p=1$" + salt + "$" + key,
		"no memory":        "$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + key,
		"less than 8p":     "$argon2id$v=19$m=8,t=2,p=2$" + salt + "$" + key,
		"leading zero":     "$argon2id$v=19$m=019456,t=2,p=1$" + salt + "$" + key,
		"sign":             "$argon2id$v=19$m=+19456,t=2,p=1$" + salt + "$" + key,
		"order":            "$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + key,
		"extra":            good + "$x",
		"another function": "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key,
		"another version":  "$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key,
		"short salt":       "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$" + key,
		"no key":           "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
		"padded":           good + "=",
		"loose last bits":  good[:len(good)-1] + "V",
		"bcrypt":           "$2b$12$abcdefghijklmnopqrstuv",
		"empty":            "",
		"long":             good + strings.Repeat("A", 1000),
	} {
		if _, err := parse(bad); !errors.Is(err, ErrEncoded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := NewHasher().Verify(t.Context(), "plain text", "x"); !errors.Is(err, ErrEncoded) || strings.Contains(err.Error(), "plain") {
		t.Errorf("broken hash: %v", err)
	}
}

func TestHasher_BoundedAndLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := NewHasher()
		h.derive = func(_, _ []byte, _, _ uint32, _ uint8, size uint32) []byte {
			<-release
			return make([]byte, size)
		}
		var work sync.WaitGroup
		for range cap(h.slots) {
			work.Go(func() { _, _ = h.Hash(t.Context(), "x") })
		}
		synctest.Wait() // every slot is taken
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error, h.limit)
		for range h.limit {
			work.Go(func() { _, err := h.Hash(ctx, "x"); gone <- err })
		}
		synctest.Wait() // the queue is full
		if _, err := h.Hash(t.Context(), "x"); !errors.Is(err, ErrBusy) {
			t.Errorf("beyond the queue: %v", err)
		}
		leave()
		synctest.Wait()
		for range h.limit {
			if err := <-gone; !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v", err)
			}
		}
		close(release)
		work.Wait()
		if h.Count() != uint64(cap(h.slots)) || h.waiting.Load() != 0 {
			t.Errorf("%d hashed, %d waiting", h.Count(), h.waiting.Load())
		}
	})
}

func TestCheck_WhatIsTooEasy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		username, password string
		want               error
	}{
		{"ada", "1234567", ErrShort}, {"ada", strings.Repeat("ab", 513), ErrLong}, {"ada", "with\x00 nul char", ErrText}, {"ada", "not\xff valid", ErrText},
		{"ada@example.org", "Ada@Example.org", ErrUsername}, {"ada", "PassWord123", ErrCommon}, {"ada", "aaaaaaaaaa", ErrCommon},
		{"ada", "12345678", ErrCommon}, {"ada", "correct horse", nil}, {"ada", "пароль не тот", nil}, {"", "", ErrShort},
	} {
		if err := Check(test.username, test.password); !errors.Is(err, test.want) {
			t.Errorf("%.30q: %v, want %v", test.password, err, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U")
	f.Fuzz(func(t *testing.T, encoded string) {
		h, err := parse(encoded)
		if err == nil && (h.String() != encoded || h.memory > maxMemory || h.passes > maxPasses || h.lanes > maxLanes || h.lanes == 0) {
			t.Errorf("%q became %+v", encoded, h)
		}
	})
}
