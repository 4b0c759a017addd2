package clientmetadata_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/gatehouse-mcp/gatehouse/authserver/internal/clientmetadata"
)

func parse(document string) (clientmetadata.Metadata, error) {
	return clientmetadata.Config{}.Parse([]byte(document))
}

// What is no unambiguous JSON object is not looked at.
func TestParse_RFC8259_StrictJSON(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"nothing":             ``,
		"not JSON":            `{`,
		"null":                `null`,
		"array":               `[]`,
		"string":              `"x"`,
		"trailing":            `{} {}`,
		"trailing comma":      `{"a":1,}`,
		"repeated":            `{"client_name":"a","client_name":"b"}`,
		"repeated by escapes": `{"client_name":"a","client\u005fname":"b"}`,
		"repeated deep":       `{"jwks":{"keys":[{"kty":"EC","kty":"RSA"}]}}`,
		"too deep":            `{"x":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`,
		"not UTF-8":           "{\"client_name\":\"\xff\"}",
		"NUL":                 `{"client_name":"a\u0000b"}`,
		"wrong type":          `{"client_name":1}`,
		"wrong list":          `{"redirect_uris":"https://a.example/cb"}`,
		"wrong item":          `{"grant_types":[1]}`,
		"scope":               `{"scope":"a\"b"}`,
		"long":                `{"software_id":"` + strings.Repeat("x", 300) + `"}`,
		"many":                `{"grant_types":[` + strings.Repeat(`"x",`, 32) + `"x"]}`,
	} {
		if _, err := parse(document); err == nil {
			t.Errorf("%s is accepted", name)
		} else if strings.ContainsAny(err.Error(), "\"\\\x00") {
			t.Errorf("%s: the error repeats what it found: %v", name, err)
		}
	}
}

// RFC 7591 §2: unknown members are ignored, names are case sensitive, and null
// is as good as absent (RFC 7592 §2.2).
func TestParse_RFC7591_2_Liberal(t *testing.T) {
	t.Parallel()
	m, err := parse(`{"Client_Name":"x","resource":"https://mcp.example","x":{"y":[1]},"scope":null,"redirect_uris":null,"jwks":null,
		"client_uri":"http://a.example","logo_uri":"javascript:alert(1)","tos_uri":"https://a.example/tos","application_type":"desktop"}`)
	if err != nil || m.Name != "" || m.ClientURI != "" || m.LogoURI != "" || m.TOSURI != "https://a.example/tos" || m.ApplicationType != "" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestParse_NamesCannotDeceive(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"Claude":                   "Claude",
		"  a \t\n b ":              "a b",
		"evil\u202egpj.exe":        "evilgpj.exe",
		"a\u2066b\u2069c\u200bd":   "abcd",
		"\x1b[31mred":              "[31mred",
		"a\u2028b":                 "a b",
		"日本語":                      "日本語",
		strings.Repeat("é", 100):   strings.Repeat("é", 79) + "…",
		"\u202e\u200f":             "",
		"line\u0085break":          "line break",
		"lone \ufffd replacement ": "lone replacement",
	} {
		document, err := json.Marshal(map[string]string{"client_name": given})
		if err != nil {
			t.Fatal(err)
		}
		if m, err := parse(string(document)); err != nil || m.Name != want {
			t.Errorf("%q: %q, %v; want %q", given, m.Name, err, want)
		}
	}
}

// AS-07: https, or http on this device; nothing else can be registered.
func TestRedirectURI_AS07(t *testing.T) {
	t.Parallel()
	for uri, good := range map[string]bool{
		"https://app.example/cb":                          true,
		"https://app.example":                             true,
		"https://app.example:8443/cb?a=b":                 true,
		"http://localhost/callback":                       true,
		"http://localhost:1234/callback":                  true,
		"http://127.0.0.1:33418/":                         true,
		"http://127.8.9.1/cb":                             true,
		"http://[::1]:8080/cb":                            true,
		"http://evil.example/cb":                          false,
		"http://localhost.evil.example/cb":                false,
		"http://127.0.0.1.evil.example/cb":                false,
		"http://0.0.0.0/cb":                               false,
		"http://2130706433/cb":                            false,
		"http://[::1%25lo]/cb":                            false,
		"http://10.0.0.1/cb":                              false,
		"javascript:alert(1)":                             false,
		"data:text/html,x":                                false,
		"myapp:/cb":                                       false,
		"cursor://anysphere.cursor-mcp/cb":                false,
		"com.example.app:/cb":                             false,
		"urn:ietf:wg:oauth:2.0:oob":                       false,
		"file:///etc/passwd":                              false,
		"https://app.example/cb#":                         false,
		"https://app.example/cb#x":                        false,
		"https://user@app.example/cb":                     false,
		"https://user:pw@app.example/cb":                  false,
		"https://@app.example/cb":                         false,
		"https://*.app.example/cb":                        false,
		"https://app.example/*":                           false,
		"https://app.example\\@evil.example":              false,
		"https://app.example/ cb":                         false,
		"https://app.example/\u202e":                      false,
		"https://app.example:/cb":                         false,
		"https://app.example/cb?iss=https://evil.example": false,
		"https://app.example/cb?a=1":                      true,
		"https://app.example:0/cb":                        false,
		"https://app.example:99999/cb":                    false,
		"https:///cb":                                     false,
		"https:app.example":                               false,
		"HTTPS://app.example/cb":                          false,
		"//app.example/cb":                                false,
		"/cb":                                             false,
		"":                                                false,
		"https://a.example/" + strings.Repeat("x", 2048):  false,
	} {
		if err := clientmetadata.CheckRedirectURI(uri); (err == nil) != good {
			t.Errorf("%q: %v", uri, err)
		}
		document, err := json.Marshal(map[string][]string{"redirect_uris": {"https://app.example/cb", uri}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(string(document)); (err == nil) != good || (len(uri) < 2048 && !good && !errors.Is(err, clientmetadata.ErrRedirectURI)) {
			t.Errorf("%q among metadata: %v", uri, err)
		}
	}
}

// Q3, Q12: on loopback the port is whatever the system gave.
func TestAnyPort_Q03(t *testing.T) {
	t.Parallel()
	got := clientmetadata.AnyPort([]string{
		"http://localhost:5000/cb", "http://127.0.0.1:33418/", "http://[::1]:9/a:9/b?c=:9", "https://app.example:8443/cb", "http://localhost:6000/cb", "http://localhost",
	})
	want := []string{"http://127.0.0.1/", "http://[::1]/a:9/b?c=:9", "http://localhost", "http://localhost/cb", "https://app.example:8443/cb"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
}

const ecKey = `"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"`

func TestParse_RFC7517_Keys(t *testing.T) {
	t.Parallel()
	for document, good := range map[string]bool{
		`{"jwks":{"keys":[{` + ecKey + `}]}}`:                                                   true,
		`{"jwks":{"keys":[{"kty":"PQ"},{` + ecKey + `,"kid":"k"}]}}`:                            true,
		`{"jwks":{"keys":[{` + ecKey + `,"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}]}}`: false,
		`{"jwks":{"keys":[{` + ecKey + `},{"kty":"oct","k":"AAAA"}]}}`:                          false,
		`{"jwks":{"keys":[{"kty":"PQ"}]}}`:                                                      false,
		`{"jwks":{"keys":[]}}`:                                                                  false,
		`{"jwks":{"keys":[1]}}`:                                                                 false,
		`{"jwks":[]}`:                                                                           false,
		`{"jwks":{"keys":[{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("A", 86) + `w"}]}}`:   false, // 512 bits
		`{"jwks":{"keys":[{` + ecKey + `}]},"jwks_uri":"https://a.example/jwks"}`:               false,
		`{"jwks_uri":"https://a.example/jwks"}`:                                                 true,
		`{"jwks_uri":"http://a.example/jwks"}`:                                                  false,
		`{"jwks_uri":"http://127.0.0.1/jwks"}`:                                                  false,
		`{"jwks_uri":"file:///jwks"}`:                                                           false,
	} {
		if m, err := parse(document); (err == nil) != good {
			t.Errorf("%s: %+v, %v", document, m, err)
		}
	}
	if _, err := (clientmetadata.Config{AllowLoopback: true}).Parse([]byte(`{"jwks_uri":"http://127.0.0.1:9/jwks"}`)); err != nil {
		t.Errorf("loopback where it is allowed: %v", err)
	}
}

// Whatever the bytes, what comes out is bounded and harmless, and what is
// refused is not repeated.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"redirect_uris":["https://a.example/cb"],"client_name":"A","scope":"a b"}`, `{"jwks":{"keys":[{` + ecKey + `}]}}`,
		`{"client_name":"\u202ex","contacts":["a"],"logo_uri":"https://a.example/l"}`, `[{}]`, `{"a":{"a":{"a":{}}}}`, "{\"\xff\":1}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if m, err := (clientmetadata.Config{AllowLoopback: true}).Parse(document); err == nil {
			wantHarmless(t, m)
		}
	})
}

func wantHarmless(t *testing.T, m clientmetadata.Metadata) {
	t.Helper()
	for _, uri := range m.RedirectURIs {
		if err := clientmetadata.CheckRedirectURI(uri); err != nil {
			t.Fatalf("%q: %v", uri, err)
		}
	}
	for _, text := range append(m.Contacts, m.Name, m.SoftwareID, m.SoftwareVersion) {
		if strings.ContainsFunc(text, unicode.IsControl) || len([]rune(text)) > 256 {
			t.Fatalf("text %q", text)
		}
	}
	if len(m.RedirectURIs) > 32 || len(m.Contacts) > 10 || (m.JWKS != nil && m.JWKSURI != "") {
		t.Fatalf("unbounded: %+v", m)
	}
	if m.JWKS != nil && len(clientmetadata.Keys(m.JWKS)) == 0 {
		t.Fatal("keys that nobody can use")
	}
	if again := clientmetadata.AnyPort(clientmetadata.AnyPort(m.RedirectURIs)); len(again) > len(m.RedirectURIs) {
		t.Fatalf("more redirect URIs than before: %q", again)
	}
}
