package settings

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func decode(t *testing.T, text string) (Settings, []string) {
	t.Helper()
	s, problems := Decode([]byte(text))
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return s, lines
}

const minimal = "issuer: https://auth.example.com\nresources:\n  - identifier: https://mcp.example.com/mcp\n"

func TestDecode_DefaultsRemain(t *testing.T) {
	t.Parallel()
	got, problems := decode(t, minimal+"tokens:\n  access_token_lifetime: 10m\n")
	if problems != nil {
		t.Fatal(problems)
	}
	want := Defaults()
	want.Issuer = "https://auth.example.com"
	want.Resources = []Resource{{Identifier: "https://mcp.example.com/mcp"}}
	want.Tokens.AccessTokenLifetime = 10 * time.Minute
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

type mistake struct {
	text string
	want []string
}

func TestDecode_Problems(t *testing.T) {
	t.Parallel()
	for name, test := range mistakes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := decode(t, test.text)
			if !slices.EqualFunc(got, test.want, matches) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(test.want, "\n  "))
			}
		})
	}
}

// mistakes are settings files with what has to be said about them, by topic.
func mistakes() map[string]mistake {
	return map[string]mistake{
		"every unknown key, with a suggestion": {
			minimal + "isuer: x\ntokens:\n  signing_algo: ES256\n  what: 1\n",
			[]string{
				`4:1: unknown key "isuer"; did you mean "issuer"?`,
				`6:3: tokens: unknown key "signing_algo"; did you mean "signing_alg"?`,
				`7:3: tokens: unknown key "what"`,
			},
		},
		"types": {
			minimal + "memory: lots\nlisten: 9000\ntokens:\n  key_rotation: 30\nscopes: [a]\ntls: x\n",
			[]string{
				"4:9: memory: must be a size such as 64MiB",
				"5:9: listen: must be text (put it in quotes)",
				"7:17: tokens.key_rotation: must be a duration such as 90s, 10m or 24h",
				"8:9: scopes: must be a mapping of names",
				"9:6: tls: must be a mapping of keys",
			},
		},
		"proxies": {
			minimal + "trusted_proxies: [10.0.0.0/8, \"fd00::/8\", proxy, 10.0.0.1, \"::/0\", 192.168.1.0/16]\n",
			[]string{
				`4:43: trusted_proxies[2]: "proxy" is not an address or a network such as 10.0.0.0/8`,
				`4:50: trusted_proxies[3]: "10.0.0.1" is within "10.0.0.0/8", which stands here too`,
				`4:60: trusted_proxies[4]: "::/0" trusts everybody...`,
				`4:68: trusted_proxies[5]: "192.168.1.0/16" is an address within a network; did you mean "192.168.0.0/16"?`,
			},
		},
		"not YAML": {"issuer: [\n", []string{"1:9: sequence end token ']' not found"}},
		"nothing":  {"", []string{"1:1: issuer: is required: the https URL of the authorization server", "1:1: resources: is required: at least one protected resource"}},
		"ranges": {
			minimal + "tokens:\n  access_token_lifetime: 25h\n  signing_alg: HS256\n  key_rotation: 10m\n  key_overlap: 10m\n",
			[]string{
				"5:26: tokens.access_token_lifetime: must be between 1s and 24h",
				`6:16: tokens.signing_alg: "HS256" is not one of ES256, EdDSA, PS256, RS256; did you mean "ES256"?`,
				"8:16: tokens.key_overlap: must be shorter than key_rotation, and not 0",
			},
		},
		"resource server": {
			minimal + "resource_server:\n  allowed_origins: [https://a.example, https://app/]\n  on_feed_loss: ignore\n  clock_skew: 1h\n" +
				"  introspection:\n    client_id: rs\n  method_scopes:\n    - match: tools/cal\n      scopes: [mcp:read]\n  admin_scope: mcp:root\n",
			[]string{
				`5:40: resource_server.allowed_origins[1]: "https://app/" is not an origin such as https://app.example.com...`,
				`6:17: resource_server.on_feed_loss: "ignore" is not one of introspect, refuse`,
				"7:15: resource_server.clock_skew: must be between 0s and 5m",
				"9:5: resource_server.introspection: needs client_secret_env or client_secret_file, one of them",
				`11:14: resource_server.method_scopes[0].match: method "tools/cal": ...`,
				`13:16: resource_server.admin_scope: scope "mcp:root" is not in the catalog`,
			},
		},
		"scopes": {
			minimal + "    scopes: [mcp:raed]\nscopes:\n  \"files:read\":\n    implies: [mcp:read]\n",
			[]string{
				`4:14: resources[0].scopes[0]: scope "mcp:raed" is not in the catalog; did you mean "mcp:read"?`,
				"6:3: scopes.files:read: needs a description that tells a person what it allows",
			},
		},
	}
}

// matches compares a problem with what is wanted, up to three dots.
func matches(got, want string) bool {
	start, open := strings.CutSuffix(want, "...")
	return got == want || open && strings.HasPrefix(got, start)
}

func TestDecode_RFC8414_2_Issuer(t *testing.T) {
	t.Parallel()
	for issuer, ok := range map[string]bool{
		"https://auth.example.com":        true,
		"https://auth.example.com/tenant": true,
		"http://localhost:9000":           true,
		"http://127.0.0.1:9000":           true,
		`"http://[::1]:9000"`:             true,
		"http://auth.example.com":         false,
		"https://auth.example.com/":       false,
		"https://auth.example.com?x=1":    false,
		`"https://auth.example.com#f"`:    false,
		`"https://auth.example.com#"`:     false,
		"https://user@auth.example.com":   false,
		"auth.example.com":                false,
		"ftp://auth.example.com":          false,
	} {
		_, problems := decode(t, "issuer: "+issuer+"\nresources: [{identifier: https://m.example.com}]\n")
		if (problems == nil) != ok {
			t.Errorf("issuer %s: problems %q", issuer, problems)
		}
	}
}

func TestExample_DecodesToDefaults(t *testing.T) {
	t.Parallel()
	text, err := Example()
	if err != nil {
		t.Fatal(err)
	}
	got, problems := Decode([]byte(text))
	if problems != nil {
		t.Fatalf("%v\n%s", problems, text)
	}
	if want := Sample(); !reflect.DeepEqual(normal(got), normal(want)) {
		t.Errorf("got  %+v\nwant %+v\n%s", got, want, text)
	}
}

// normal makes empty lists and mappings nil, wherever they are.
func normal(s Settings) Settings {
	clean(reflect.ValueOf(&s).Elem())
	return s
}

func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			clean(field)
		}
	case reflect.Slice:
		for i := range v.Len() {
			clean(v.Index(i))
		}
		fallthrough
	case reflect.Map:
		if v.Len() == 0 {
			v.SetZero()
		}
	}
}

func TestExample_EveryKeyHasAManual(t *testing.T) {
	t.Parallel()
	manual, err := readDocs(source)
	if err != nil {
		t.Fatal(err)
	}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for f := range typ.Fields() {
			if f.Tag.Get("yaml") == "" || manual[typ.Name()][f.Name] == "" {
				t.Errorf("%s.%s has no key or no comment", typ.Name(), f.Name)
			}
			element := f.Type
			for element.Kind() == reflect.Slice || element.Kind() == reflect.Map {
				element = element.Elem()
			}
			if element.Kind() == reflect.Struct {
				visit(element)
			}
		}
	}
	visit(reflect.TypeFor[Settings]())
}

// The commented sketches of entries are correct once uncommented.
func TestExample_SketchesDecode(t *testing.T) {
	t.Parallel()
	text, err := Example()
	if err != nil {
		t.Fatal(err)
	}
	var on []string
	for line := range strings.Lines(text) {
		body := strings.TrimLeft(line, " ")
		switch {
		case strings.HasPrefix(body, "#  "):
			line = strings.Replace(line, "#", "", 1)
		case strings.HasSuffix(line, ": {}\n"), strings.HasSuffix(line, ": []\n"):
			line = strings.TrimRight(line, "{}[] \n") + "\n"
		}
		on = append(on, line)
	}
	d := decoder{positions: map[string]position{}}
	s := Defaults()
	d.file([]byte(strings.Join(on, "")), &s)
	if len(d.problems) > 0 || len(s.Scopes) != 1 {
		t.Errorf("%v\n%s", d.problems, strings.Join(on, ""))
	}
}

func FuzzDecode(f *testing.F) {
	text, _ := Example()
	f.Add(text)
	f.Add(minimal)
	f.Add("a: &x [*x]\n? b\n: c\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, problems := Decode([]byte(text))
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Errorf("%+v has no position or message", p)
			}
		}
	})
}
