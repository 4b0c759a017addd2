package arch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// Path is the path of the module whose rules these are.
const Path = "github.com/gatehouse-mcp/gatehouse"

// Rule is one rule of the house. Check returns what breaks it, one line each,
// beginning with the file or package concerned.
type Rule struct {
	Name  string
	Check func(*Module) []string
}

// Rules returns all rules.
func Rules() []Rule {
	return []Rule{
		{"Layout", layout},
		{"Rooms", roomImports},
		{"Dependencies", dependencies},
		{"README", readme},
		{"ResourceServerLinks", resourceServerLinks},
		{"TestCodeStaysOut", testCodeStaysOut},
		{"FileLength", fileLength},
		{"FunctionLength", functionLength},
		{"Names", names},
		{"NoInit", noInit},
		{"NoMutableState", noMutableState},
		{"PackageComments", packageComments},
		{"NoSleepNoSkip", noSleepNoSkip},
	}
}

// Module is what the rules look at.
type Module struct {
	Dir      string
	Packages []Package // the module's own, ordered by import path
	Files    []File    // every Go file, ordered by path

	moduleOf map[string]string // import path → module path, for what others wrote
}

// Package is the part of `go list -json` that the rules need.
type Package struct {
	ImportPath   string
	Imports      []string // by production code
	Deps         []string // everything linked with production code
	TestImports  []string
	XTestImports []string

	Standard bool
	ForTest  string
	Module   *struct{ Path string }
	Error    *struct{ Err string }
}

// Name returns the path below the module's, such as "storage/postgres".
func (p Package) Name() string { return strings.TrimPrefix(p.ImportPath, Path+"/") }

// testImports returns what test files import.
func (p Package) testImports() []string { return slices.Concat(p.TestImports, p.XTestImports) }

// Load reads the module rooted at dir with the go command.
func Load(ctx context.Context, dir string) (*Module, error) {
	m := &Module{Dir: dir, moduleOf: map[string]string{}}
	listed, err := goList(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, p := range listed {
		switch {
		case p.Error != nil:
			return nil, fmt.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		case p.Standard || p.ForTest != "" || p.Module == nil || strings.HasSuffix(p.ImportPath, ".test"):
		case p.Module.Path == Path:
			m.Packages = append(m.Packages, p)
		default:
			m.moduleOf[p.ImportPath] = p.Module.Path
		}
	}
	slices.SortFunc(m.Packages, func(a, b Package) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	m.Files, err = parseFiles(dir)
	return m, err
}

// goList lists every package of the module in dir with all that its code and
// its tests need.
func goList(ctx context.Context, dir string) ([]Package, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-deps", "-test",
		"-json=ImportPath,Imports,Deps,TestImports,XTestImports,Standard,ForTest,Module,Error", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.String())
	}
	var packages []Package
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
}
