package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// forge signs what Sign never would with the key that r signs with.
func forge(t testing.TB, r *Ring, header, payload string) string {
	t.Helper()
	k := r.snap.Load().signing(start)
	header = strings.NewReplacer("$alg", k.Alg, "$kid", k.KID).Replace(header)
	input := strict.EncodeToString([]byte(header)) + "." + strict.EncodeToString([]byte(payload))
	sig, err := sign(k.Alg, k.private, []byte(input))
	must(t, err)
	return input + "." + strict.EncodeToString(sig)
}

const goodHeader = `{"alg":"$alg","kid":"$kid","typ":"at+jwt"}`

func TestSign_RFC7515_CompactWithAlgKidAndTyp(t *testing.T) {
	t.Parallel()
	for _, alg := range Algorithms() {
		db := newRows(t)
		r := open(t, config(db, alg), start)
		token, err := r.Sign("at+jwt", claims{"<alice>"}, start)
		must(t, err)
		parts := strings.Split(token, ".")
		header, err := strict.DecodeString(parts[0])
		must(t, err)
		want := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, stored(t, db)[0])
		if len(parts) != 3 || string(header) != want {
			t.Fatalf("%s: header %s", alg, header)
		}
		var got claims
		must(t, verify(r, token, "at+jwt", start, &got))
		if got.Subject != "<alice>" {
			t.Fatalf("%s: claims %+v", alg, got)
		}
	}
}

func TestSign_RefusesWhatIsNoToken(t *testing.T) {
	t.Parallel()
	r := open(t, config(newRows(t), EdDSA), start)
	for _, typ := range []string{"", `at"+jwt`, `at\jwt`, "at jwt", "at\njwt", "ät+jwt"} {
		if token, err := r.Sign(typ, claims{"alice"}, start); err == nil {
			t.Errorf("typ %q: signed %s", typ, token)
		}
	}
	for _, payload := range []any{nil, "text", 1, []int{1}, json.RawMessage("null"), func() {}} {
		if token, err := r.Sign("at+jwt", payload, start); err == nil {
			t.Errorf("claims %T: signed %s", payload, token)
		}
	}
}

func TestVerify_RFC7515_4_1_9_Typ(t *testing.T) {
	t.Parallel()
	r := open(t, config(newRows(t), EdDSA), start)
	for _, c := range []struct {
		signed, asked string
		ok            bool
	}{
		{"at+jwt", "at+jwt", true},
		{"AT+JWT", "at+jwt", true},
		{"application/at+jwt", "at+jwt", true},
		{"at+jwt", "Application/At+jwt", true},
		{"JWT", "at+jwt", false},
		{"at+jwt", "JWT", false},
		{"secevent+jwt", "at+jwt", false},
		{"text/at+jwt", "at+jwt", false},
		{"at+jwt", "", false},
	} {
		token, err := r.Sign(c.signed, claims{"alice"}, start)
		must(t, err)
		if err := verify(r, token, c.asked, start, nil); (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrToken)) {
			t.Errorf("%q asked for as %q: %v", c.signed, c.asked, err)
		}
	}
	for _, header := range []string{`{"alg":"$alg","kid":"$kid"}`, `{"alg":"$alg","kid":"$kid","typ":null}`, `{"alg":"$alg","kid":"$kid","typ":["at+jwt"]}`} {
		refused(t, verify(r, forge(t, r, header, `{}`), "at+jwt", start, nil))
		refused(t, verify(r, forge(t, r, header, `{}`), "", start, nil))
	}
}

func TestVerify_RFC8725_3_1_AlgorithmIsTheKeys(t *testing.T) {
	t.Parallel()
	db := newRows(t)
	r := open(t, config(db, RS256), start)
	k := r.snap.Load().signing(start)
	must(t, verify(r, forge(t, r, goodHeader, `{}`), "at+jwt", start, nil)) // the forger can
	mac := func(secret []byte) string {
		header := fmt.Sprintf(`{"alg":"HS256","kid":%q,"typ":"at+jwt"}`, k.KID)
		input := strict.EncodeToString([]byte(header)) + "." + strict.EncodeToString([]byte(`{}`))
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(input))
		return input + "." + strict.EncodeToString(h.Sum(nil))
	}
	refused(t, verify(r, mac(k.jwk), "at+jwt", start, nil))
	refused(t, verify(r, mac(nil), "at+jwt", start, nil))

	for _, alg := range []string{"none", "None", "", "PS256", "ES256", "EdDSA", "RS384", "rs256"} {
		token := forge(t, r, fmt.Sprintf(`{"alg":%q,"kid":"$kid","typ":"at+jwt"}`, alg), `{}`)
		refused(t, verify(r, token, "at+jwt", start, nil))
		refused(t, verify(r, token[:strings.LastIndex(token, ".")+1], "at+jwt", start, nil))
	}
	// The same modulus, an honest PSS signature: still not the key's algorithm.
	header := fmt.Sprintf(`{"alg":"PS256","kid":%q,"typ":"at+jwt"}`, k.KID)
	input := strict.EncodeToString([]byte(header)) + "." + strict.EncodeToString([]byte(`{}`))
	sig, err := sign(PS256, k.private, []byte(input))
	must(t, err)
	refused(t, verify(r, input+"."+strict.EncodeToString(sig), "at+jwt", start, nil))
}

func TestVerify_Header(t *testing.T) {
	t.Parallel()
	r := open(t, config(newRows(t), EdDSA), start)
	must(t, verify(r, forge(t, r, goodHeader, `{}`), "at+jwt", start, nil))
	for name, header := range map[string]string{
		"duplicate alg":            `{"alg":"none","alg":"$alg","kid":"$kid","typ":"at+jwt"}`,
		"duplicate alg, same":      `{"alg":"$alg","alg":"$alg","kid":"$kid","typ":"at+jwt"}`,
		"duplicate kid":            `{"alg":"$alg","kid":"x","kid":"$kid","typ":"at+jwt"}`,
		"duplicate typ":            `{"alg":"$alg","kid":"$kid","typ":"JWT","typ":"at+jwt"}`,
		"member in another case":   `{"alg":"$alg","KID":"$kid","typ":"at+jwt"}`,
		"no kid":                   `{"alg":"$alg","typ":"at+jwt"}`,
		"no alg":                   `{"kid":"$kid","typ":"at+jwt"}`,
		"unknown crit, RFC 4.1.11": `{"alg":"$alg","kid":"$kid","typ":"at+jwt","crit":["exp"],"exp":1}`,
		"text behind":              `{"alg":"$alg","kid":"$kid","typ":"at+jwt"}{}`,
		"not JSON":                 `alg`,
		"not an object":            `["$alg"]`,
	} {
		if err := verify(r, forge(t, r, header, `{}`), "at+jwt", start, nil); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerify_ForeignKeys(t *testing.T) {
	t.Parallel()
	r, other := open(t, config(newRows(t), EdDSA), start), open(t, config(newRows(t), EdDSA), start)
	refused(t, verify(r, signed(t, other, start), "at+jwt", start, nil))

	own := r.snap.Load().signing(start)
	stolen := fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"at+jwt"}`, own.KID)
	refused(t, verify(r, forge(t, other, stolen, `{}`), "at+jwt", start, nil))
	embedded := fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"at+jwt","jwk":%s}`, own.KID, other.snap.Load().keys[0].jwk)
	refused(t, verify(r, forge(t, other, embedded, `{}`), "at+jwt", start, nil))
	foreign := fmt.Sprintf(`{"alg":"EdDSA","kid":"","typ":"at+jwt","jwk":%s}`, other.snap.Load().keys[0].jwk)
	refused(t, verify(r, forge(t, other, foreign, `{}`), "at+jwt", start, nil))
}

func TestVerify_RFC7515_2_OneSpellingOnly(t *testing.T) {
	t.Parallel()
	r := open(t, config(newRows(t), EdDSA), start)
	token := forge(t, r, goodHeader, `{"sub":"a???"}`)
	must(t, verify(r, token, "at+jwt", start, nil))

	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1]) // its low four bits are spare
	parts := strings.Split(token, ".")
	for name, spelling := range map[string]string{
		"stray bits":     token[:len(token)-1] + alphabet[last|1:last|1+1],
		"more of them":   token[:len(token)-1] + alphabet[last|15:last|15+1],
		"padding":        token + "==",
		"line break":     token[:9] + "\n" + token[9:],
		"return":         token + "\r",
		"blank":          " " + token,
		"standard":       parts[0] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[1]) + "." + parts[2],
		"four parts":     token + ".",
		"two parts":      parts[0] + "." + parts[1],
		"detached":       parts[0] + ".." + parts[2],
		"no signature":   parts[0] + "." + parts[1] + ".",
		"JSON flattened": fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]),
		"empty":          "",
		"dots":           "..",
		"short by one":   token[:len(token)-1],
	} {
		if err := verify(r, spelling, "at+jwt", start, nil); spelling == token || !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerify_ClaimsOfAnotherShape(t *testing.T) {
	t.Parallel()
	r := open(t, config(newRows(t), EdDSA), start)
	for _, payload := range []string{`{"sub":1}`, `[]`, ``, `{"sub":"a"}{}`} {
		var got claims
		refused(t, verify(r, forge(t, r, goodHeader, payload), "at+jwt", start, &got))
	}
}

func TestVerify_SinceWhenAndUntil(t *testing.T) {
	t.Parallel()
	r := open(t, config(newRows(t), ES256), start)
	token := signed(t, r, start)
	must(t, verify(r, token, "at+jwt", start.Add(-time.Hour), nil)) // clocks are not the key's affair
	must(t, verify(r, token, "at+jwt", start.Add(10*rotation), nil))
}
