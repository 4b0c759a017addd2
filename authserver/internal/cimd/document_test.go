package cimd

import (
	"strings"
	"testing"
)

const id = "https://app.example/client.json"

// document is a good one with members added or, when empty, without them.
func document(pairs ...string) string {
	members := map[string]string{
		"client_id": `"` + id + `"`, "client_name": `"App"`, "redirect_uris": `["https://app.example/cb","http://localhost/cb"]`,
	}
	for i := 0; i < len(pairs); i += 2 {
		members[pairs[i]] = pairs[i+1]
	}
	var parts []string
	for name, value := range members {
		if value != "" {
			parts = append(parts, `"`+name+`":`+value)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// AS-18, AS-19: every defect of a document is one too many.
func TestDocument_AS18_AS19_Defects(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	for name, test := range map[string]struct {
		document string
		good     bool
	}{
		"good":                     {document(), true},
		"members of tomorrow":      {document("x", `{"y":1}`), true},
		"client_id missing":        {document("client_id", ""), false},
		"client_id of another":     {document("client_id", `"https://app.example/other.json"`), false},
		"client_id in other case":  {document("client_id", `"https://APP.example/client.json"`), false},
		"client_id with a slash":   {document("client_id", `"`+id+`/"`), false},
		"client_name missing":      {document("client_name", ""), false},
		"client_name invisible":    {document("client_name", `"\u202e"`), false},
		"redirect_uris missing":    {document("redirect_uris", ""), false},
		"redirect_uris empty":      {document("redirect_uris", `[]`), false},
		"redirect_uris bad":        {document("redirect_uris", `["https://app.example/cb","myapp:/cb"]`), false},
		"redirect_uris http":       {document("redirect_uris", `["http://app.example/cb"]`), false},
		"client_secret":            {document("client_secret", `"s"`), false},
		"client_secret null":       {document("client_secret", `null`), false},
		"client_secret_expires_at": {document("client_secret_expires_at", `0`), false},
		"client_secret_basic":      {document("token_endpoint_auth_method", `"client_secret_basic"`), false},
		"client_secret_post":       {document("token_endpoint_auth_method", `"client_secret_post"`), false},
		"client_secret_jwt":        {document("token_endpoint_auth_method", `"client_secret_jwt"`), false},
		"choice of a secret":       {document("token_endpoint_auth_methods_supported", `["none","client_secret_post"]`), false},
		"unknown method":           {document("token_endpoint_auth_method", `"tls_client_auth"`), false},
		"unknown choice":           {document("token_endpoint_auth_methods_supported", `["tls_client_auth"]`), false},
		"keyless private_key_jwt":  {document("token_endpoint_auth_method", `"private_key_jwt"`), false},
		"jwks and jwks_uri":        {document("jwks_uri", `"https://app.example/jwks"`, "jwks", `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`), false},
		"private key":              {document("jwks", `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}]}`), false},
		"implicit":                 {document("response_types", `["token"]`), false},
		"repeated member":          {strings.Replace(document(), "{", `{"client_name":"x",`, 1), false},
		"byte order mark":          {"\ufeff" + document(), false},
		"list":                     {"[" + document() + "]", false},
	} {
		if m, err := f.parse(id, []byte(test.document)); (err == nil) != test.good {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// Q7, OpenID Connect RP Metadata Choices: who can authenticate always has to.
func TestQuirk_Q07_Method(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	keys := []string{"jwks_uri", `"https://app.example/jwks.json"`}
	for want, documents := range map[string][]string{
		"private_key_jwt": {
			document(append(keys, "token_endpoint_auth_method", `"private_key_jwt"`)...),
			document(append(keys, "token_endpoint_auth_method", `"private_key_jwt"`, "token_endpoint_auth_methods_supported", `["none","private_key_jwt"]`)...),
			document(append(keys, "token_endpoint_auth_methods_supported", `["none","private_key_jwt"]`)...),
			document(append(keys, "token_endpoint_auth_method", `"none"`, "token_endpoint_auth_methods_supported", `["none","private_key_jwt"]`)...),
		},
		"none": {
			document(), document(keys...), document("token_endpoint_auth_method", `"none"`),
			document("token_endpoint_auth_methods_supported", `["none","private_key_jwt"]`),
		},
	} {
		for _, text := range documents {
			if m, err := f.parse(id, []byte(text)); err != nil || m.AuthMethod != want {
				t.Errorf("%s: %q, %v; want %q", text, m.AuthMethod, err, want)
			}
		}
	}
}

// No bytes make a client with a secret, of another client_id, or that anybody
// can pose as although it has keys.
func FuzzDocument(f *testing.F) {
	fetcher := New(Config{})
	for _, seed := range []string{document(), document("client_secret", `"x"`), document("jwks_uri", `"https://a.example/k"`, "token_endpoint_auth_method", `"private_key_jwt"`), `{}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := fetcher.parse(id, body)
		if err != nil {
			return
		}
		switch {
		case m.ClientID != id, m.Name == "", len(m.RedirectURIs) == 0, m.Secret, m.ClientSecret != "":
			t.Fatalf("%q: %+v", body, m)
		case m.AuthMethod == methodPrivateKeyJWT && m.JWKSURI == "" && m.JWKS == nil:
			t.Fatalf("%q: nobody can be this client", body)
		case m.AuthMethod != methodPrivateKeyJWT && m.AuthMethod != methodNone:
			t.Fatalf("%q: method %q", body, m.AuthMethod)
		}
	})
}
