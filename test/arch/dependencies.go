package arch

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Dependency says what a direct dependency buys and in which rooms production
// code may import it. Test files may import any of them, wherever they are.
type Dependency struct {
	Reason string
	Rooms  []string
}

// Direct returns every module that this one may import directly. The table in
// README.md names the same ones.
func Direct() map[string]Dependency {
	servers := []string{"authserver", "resourceserver", "cmd"}
	return map[string]Dependency{
		"code.dny.dev/ssrf":                      {"fetches of what strangers name never reach inside our own network", []string{"authserver"}},
		"github.com/MicahParks/jwkset":           {"an independent reader of our keys, in tests", servers},
		"github.com/alecthomas/kong":             {"subcommands, flags and environment from struct tags", []string{"cmd"}},
		"github.com/chromedp/cdproto":            {"its virtual authenticator, for passkeys", nil},
		"github.com/chromedp/chromedp":           {"a real browser at the pages, in tests", nil},
		"github.com/coreos/go-oidc/v3":           {"an independent verifier of our tokens, in tests", []string{"authserver"}},
		"github.com/go-jose/go-jose/v4":          {"signing and verifying, with the algorithms fixed before parsing", servers},
		"github.com/go-webauthn/webauthn":        {"passkeys", []string{"authserver"}},
		"github.com/goccy/go-yaml":               {"the settings file: unknown keys are errors with line numbers", []string{"cmd"}},
		"github.com/golang-migrate/migrate/v4":   {"schema versions", []string{"storage/postgres", "storage/sqlite", "migrations"}},
		"github.com/gorilla/mux":                 {"routes and middleware at the edge", []string{"authserver", "cmd"}},
		"github.com/jackc/pgx/v5":                {"Postgres: pool, batches, notifications", []string{"storage/postgres"}},
		"github.com/maypok86/otter/v2":           {"bounded caches whose loaders run once", servers},
		"github.com/modelcontextprotocol/go-sdk": {"the MCP protocol and its transport", []string{"resourceserver", "cmd"}},
		"github.com/ory/fosite":                  {"OAuth requests, responses, errors and dispatch", []string{"authserver"}},
		"github.com/pquerna/otp":                 {"one-time passwords as second step, and their QR codes", []string{"authserver"}},
		"github.com/prometheus/client_golang":    {"metrics", servers},
		"github.com/rogpeppe/go-internal":        {"scripts as tests", nil},
		"golang.org/x/crypto":                    {"argon2id for passwords", []string{"authserver"}},
		"golang.org/x/oauth2":                    {"the token of the MCP client that gatehouse call is; an independent client in tests", []string{"authserver", "cmd"}},
		"golang.org/x/sync":                      {"one flight for callers who ask the same", append(servers, "storage/postgres", "storage/sqlite")},
		"golang.org/x/time":                      {"limits how often anybody may ask, and how often an unknown key is looked for", servers},
		"modernc.org/sqlite":                     {"the embedded store, without C", []string{"storage/sqlite"}},
	}
}

// fosite may be imported nowhere but below authserver, tests included, and
// only its root package: the rest of it is what we replace.
const fosite = "github.com/ory/fosite"

func dependencies(m *Module) []string {
	allowed := Direct()
	used := map[string]bool{}
	var broken []string
	for _, p := range m.Packages {
		for _, path := range slices.Concat(p.Imports, p.testImports()) {
			module := m.moduleOf[path]
			if module == "" {
				continue
			}
			used[module] = true
			production := slices.Contains(p.Imports, path) && room(p.Name()) != "test" && p.Name() != "storage/storagetest"
			switch d, listed := allowed[module]; {
			case !listed:
				broken = append(broken, fmt.Sprintf("%s: imports %s, which is not on the list of dependencies", p.Name(), module))
			case production && !slices.Contains(d.Rooms, room(p.Name())):
				broken = append(broken, fmt.Sprintf("%s: must not import %s", p.Name(), path))
			case module == fosite && (path != fosite || room(p.Name()) != "authserver"):
				broken = append(broken, fmt.Sprintf("%s: must not import %s", p.Name(), path))
			}
		}
	}
	for _, module := range slices.Sorted(maps.Keys(allowed)) {
		if !used[module] {
			broken = append(broken, module+": is on the list of dependencies and not imported")
		}
	}
	return slices.Compact(broken)
}

// readme compares the table under the heading "Dependencies" of README.md with
// [Direct]: a row is "| `module` | what it buys |".
func readme(m *Module) []string {
	text, err := os.ReadFile(filepath.Join(m.Dir, "README.md"))
	if err != nil {
		return []string{"README.md: " + err.Error()}
	}
	rows := dependencyRows(string(text))
	var broken []string
	for _, module := range slices.Sorted(maps.Keys(Direct())) {
		if reason, found := rows[module]; !found {
			broken = append(broken, "README.md: the table of dependencies lacks "+module)
		} else if reason == "" {
			broken = append(broken, "README.md: the table of dependencies gives no reason for "+module)
		}
		delete(rows, module)
	}
	for _, module := range slices.Sorted(maps.Keys(rows)) {
		broken = append(broken, "README.md: the table of dependencies has "+module+", which is not on the list")
	}
	return broken
}

// dependencyRows returns module → reason.
func dependencyRows(text string) map[string]string {
	heading := regexp.MustCompile(`^#+ .*\b[Dd]ependenc`)
	row := regexp.MustCompile("^\\| *\\[?`([^`]+)`[^|]*\\|(.*)\\|\\s*$")
	rows := map[string]string{}
	within := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			within = heading.MatchString(line)
		}
		if cells := row.FindStringSubmatch(line); within && cells != nil {
			rows[cells[1]] = strings.Trim(cells[2], " |")
		}
	}
	return rows
}
