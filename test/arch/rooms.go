package arch

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// topLevel is everything that may stand beside the dot files.
func topLevel() []string {
	return []string{
		"authserver", "cmd", "deploy", "migrations", "resourceserver", "scopes", "storage", "test", "web",
		"LICENSE", "Makefile", "NOTICE", "README.md", "docker-compose.yml", "go.mod", "go.sum",
		"bin", // built, never committed
	}
}

// rooms says for each room which others its production code may import; a
// package belongs to the room with the longest prefix of its name. Code in a
// room may always import its own room.
func rooms() map[string][]string {
	return map[string][]string{
		"scopes":              nil,
		"web":                 nil,
		"migrations":          nil,
		"storage":             nil,
		"storage/internal":    {"storage"},
		"storage/storagetest": {"storage"},
		"storage/postgres":    {"storage", "storage/internal", "migrations"},
		"storage/sqlite":      {"storage", "storage/internal", "migrations"},
		"resourceserver":      {"scopes"},
		"authserver":          {"scopes", "storage", "web"},
		"cmd": {
			"scopes", "web", "migrations", "storage", "storage/postgres", "storage/sqlite",
			"resourceserver", "authserver",
		},
		"test": {
			"scopes", "web", "migrations", "storage", "storage/internal", "storage/storagetest",
			"storage/postgres", "storage/sqlite", "resourceserver", "authserver", "cmd",
		},
	}
}

// insular rooms keep to their imports in tests too: others copy them out.
func insular() []string { return []string{"scopes", "web", "resourceserver"} }

// room returns the room of a package by its name below the module.
func room(name string) string {
	longest := ""
	for r := range maps.Keys(rooms()) {
		if (name == r || strings.HasPrefix(name, r+"/")) && len(r) > len(longest) {
			longest = r
		}
	}
	return longest
}

func layout(m *Module) []string {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return []string{err.Error()}
	}
	var broken []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel(), e.Name()) {
			broken = append(broken, e.Name()+": has no place at the top level")
		}
	}
	return broken
}

func roomImports(m *Module) []string {
	var broken []string
	for _, p := range m.Packages {
		from := room(p.Name())
		if from == "" {
			broken = append(broken, p.Name()+": belongs to no room")
			continue
		}
		imports := p.Imports
		if slices.Contains(insular(), from) {
			imports = slices.Concat(imports, p.testImports())
		}
		for _, path := range imports {
			name, own := strings.CutPrefix(path, Path+"/")
			if to := room(name); own && to != from && !slices.Contains(rooms()[from], to) {
				broken = append(broken, fmt.Sprintf("%s: must not import %s", p.Name(), name))
			}
		}
	}
	return broken
}

// Strangers are the modules and packages that the resource server, a library
// for others, never links.
func Strangers() []string {
	return []string{
		"github.com/ory/fosite", "github.com/jackc/pgx/v5", "modernc.org/sqlite",
		"github.com/golang-migrate/migrate/v4", "github.com/gorilla/mux", "database/sql",
	}
}

func resourceServerLinks(m *Module) []string {
	var broken []string
	for _, p := range m.Packages {
		if room(p.Name()) != "resourceserver" {
			continue
		}
		linked := map[string]bool{}
		for _, path := range p.Deps {
			linked[m.moduleOf[path]] = true
			linked[path] = true
		}
		for _, stranger := range Strangers() {
			if linked[stranger] {
				broken = append(broken, fmt.Sprintf("%s: links %s", p.Name(), stranger))
			}
		}
	}
	return broken
}

// testCodeStaysOut keeps packages that are made for tests out of the binary.
func testCodeStaysOut(m *Module) []string {
	forTests := map[string]bool{}
	for _, p := range m.Packages {
		forTests[p.ImportPath] = slices.Contains(p.Imports, "testing") || room(p.Name()) == "test"
	}
	var broken []string
	for _, p := range m.Packages {
		if room(p.Name()) != "cmd" {
			continue
		}
		for _, path := range append(p.Deps, p.ImportPath) {
			if forTests[path] {
				broken = append(broken, fmt.Sprintf("%s: links %s, which is made for tests", p.Name(), path))
			}
		}
	}
	return broken
}
