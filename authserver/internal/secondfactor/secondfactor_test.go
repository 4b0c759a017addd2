package secondfactor

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"
)

// RFC 6238 appendix B has eight digits; these are the last six of them.
func TestVerify_RFC6238_AppendixB(t *testing.T) {
	t.Parallel()
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if step, right := Verify(secret, code, time.Unix(at, 0)); !right || step != at/30 {
			t.Errorf("at %d: step %d, %t", at, step, right)
		}
	}
}

func TestVerify_RFC6238_5_2_OneStepEachWay(t *testing.T) {
	t.Parallel()
	secret, code := []byte("12345678901234567890"), "287082" // of step 1
	for at, want := range map[int64]bool{0: true, 29: true, 30: true, 59: true, 89: true, 90: false, 120: false} {
		if step, right := Verify(secret, code, time.Unix(at, 0)); right != want || (right && step != 1) {
			t.Errorf("at %d: step %d, %t", at, step, right)
		}
	}
	if gone := Gone(1); !gone.Equal(time.Unix(90, 0)) {
		t.Errorf("gone at %d", gone.Unix())
	}
	now := time.Unix(45, 0)
	for _, typed := range []string{"287 082", " 287082 ", "287-082"} {
		if _, right := Verify(secret, typed, now); !right {
			t.Errorf("%q is not taken", typed)
		}
	}
	for _, typed := range []string{"", "28708", "2870820", "287083", "٢٨٧٠٨٢", strings.Repeat("287082", 1000)} {
		if _, right := Verify(secret, typed, now); right {
			t.Errorf("%.20q is taken", typed)
		}
	}
	if _, right := Verify([]byte("another secret here!"), code, now); right {
		t.Error("another secret's code")
	}
}

func TestURL_ShownAsPicture(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	address, err := URL("Gate & house", "ada@example.org", secret)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.ReplaceAll(Key(secret), " ", "")
	for _, part := range []string{"otpauth://totp/", "secret=" + key, "digits=6", "period=30", "algorithm=SHA1", "ada@example.org"} {
		if !strings.Contains(address, part) {
			t.Errorf("%s lacks %s", address, part)
		}
	}
	picture, err := QR(address)
	if err != nil {
		t.Fatal(err)
	}
	raw, found := strings.CutPrefix(picture, "data:image/png;base64,")
	decoded, err := base64.StdEncoding.DecodeString(raw)
	if !found || err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(decoded)); err != nil {
		t.Error(err)
	}
	if _, err := URL("", "ada", secret); err == nil {
		t.Error("an address without a product")
	}
}

func TestRecoveryCodes_AreFoundHoweverTyped(t *testing.T) {
	t.Parallel()
	codes, hashes := NewRecoveryCodes()
	if len(codes) != Recoveries || len(slices.Compact(slices.Sorted(slices.Values(codes)))) != Recoveries {
		t.Fatalf("codes %v", codes)
	}
	for i, code := range codes {
		for _, typed := range []string{code, strings.ToUpper(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(code, "-", " "), strings.ReplaceAll(code, "0", "O"), strings.ReplaceAll(code, "1", "l")} {
			if hash, ok := RecoveryHash(typed); !ok || !bytes.Equal(hash[:], hashes[i]) {
				t.Errorf("%q is not found", typed)
			}
		}
	}
	for _, typed := range []string{"", "123456", codes[0][1:], codes[0] + "0", strings.Repeat("-", 100), "uuuu-uuuu-uuuu-uuuu", "0000-0000-0000-000é"} {
		if _, ok := RecoveryHash(typed); ok {
			t.Errorf("%q is taken for a code", typed)
		}
	}
}
