package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Limits on what a reader has to hold in mind, tests included.
const (
	MaxFileLines     = 400
	MaxFunctionLines = 60 // from "func" to the closing brace
)

// forbiddenNames say nothing about what a thing is.
func forbiddenNames() []string {
	return []string{
		"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models",
		"manager", "managers", "service", "services", "misc", "shared", "base",
	}
}

// File is one parsed Go file.
type File struct {
	Path  string // below the module, with slashes
	Lines int
	AST   *ast.File

	set *token.FileSet
}

func (f File) test() bool { return strings.HasSuffix(f.Path, "_test.go") }

func (f File) dir() string { return filepath.ToSlash(filepath.Dir(f.Path)) }

// at returns the place of a node, for messages.
func (f File) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.Path, f.set.Position(n.Pos()).Line)
}

// parseFiles parses every Go file below root that the go command would see.
func parseFiles(root string) ([]File, error) {
	var files []File
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && unseen(d.Name()):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files = append(files, File{
			Path: filepath.ToSlash(name), AST: tree, set: set,
			Lines: strings.Count(string(text), "\n"),
		})
		return err
	})
	return files, err
}

// unseen folders hold no code of the module.
func unseen(dir string) bool {
	return strings.HasPrefix(dir, ".") || strings.HasPrefix(dir, "_") ||
		slices.Contains([]string{"testdata", "node_modules", "bin"}, dir)
}

func fileLength(m *Module) []string {
	var broken []string
	for _, f := range m.Files {
		if f.Lines > MaxFileLines {
			broken = append(broken, fmt.Sprintf("%s: %d lines, more than %d", f.Path, f.Lines, MaxFileLines))
		}
	}
	return broken
}

func functionLength(m *Module) []string {
	var broken []string
	for f, fn := range m.functions {
		lines := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1
		if lines > MaxFunctionLines {
			broken = append(broken, fmt.Sprintf("%s: %s has %d lines, more than %d", f.at(fn), fn.Name.Name, lines, MaxFunctionLines))
		}
	}
	return broken
}

func noInit(m *Module) []string {
	var broken []string
	for f, fn := range m.functions {
		if fn.Recv == nil && fn.Name.Name == "init" {
			broken = append(broken, f.at(fn)+": init functions run behind the reader's back")
		}
	}
	return broken
}

// functions yields every function and method declared in the module.
func (m *Module) functions(yield func(File, *ast.FuncDecl) bool) {
	for _, f := range m.Files {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && !yield(f, fn) {
				return
			}
		}
	}
}

// names holds for packages, folders and files.
func names(m *Module) []string {
	var broken []string
	for _, f := range m.Files {
		stem := strings.TrimSuffix(strings.TrimSuffix(f.Path, ".go"), "_test")
		words := append(strings.Split(stem, "/"), strings.TrimSuffix(f.AST.Name.Name, "_test"))
		for _, word := range words {
			if slices.Contains(forbiddenNames(), word) {
				broken = append(broken, fmt.Sprintf("%s: %q says nothing", f.Path, word))
				break
			}
		}
	}
	return broken
}

// packageComments wants one comment per package, in the form that go doc shows
// best; packages that consist of tests alone explain themselves too.
func packageComments(m *Module) []string {
	var broken, order []string
	comments := map[string]int{}
	for _, f := range m.Files {
		key := f.dir() + " " + strings.TrimSuffix(f.AST.Name.Name, "_test")
		if _, seen := comments[key]; !seen {
			comments[key] = 0
			order = append(order, key)
		}
		switch doc := f.AST.Doc.Text(); {
		case doc == "":
		case f.AST.Name.Name == "main" && strings.HasPrefix(doc, "Command "),
			strings.HasPrefix(doc, "Package "+strings.TrimSuffix(f.AST.Name.Name, "_test")+" "):
			comments[key]++
		default:
			broken = append(broken, f.Path+": the package comment does not begin with the package's name")
		}
	}
	for _, key := range order {
		dir, name, _ := strings.Cut(key, " ")
		if n := comments[key]; n != 1 {
			broken = append(broken, fmt.Sprintf("%s: package %s has %d package comments", dir, name, n))
		}
	}
	return broken
}

// noSleepNoSkip holds for test files and for what tests are made of. Inside a
// synctest bubble sleeping is how time is moved, and costs none.
func noSleepNoSkip(m *Module) []string {
	var broken []string
	for _, f := range m.Files {
		if !f.test() && room(f.Path) != "test" && room(f.Path) != "storage/storagetest" {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch name := callee(call); {
			case name == "synctest.Test":
				return false
			case name == "time.Sleep":
				broken = append(broken, f.at(call)+": sleeps instead of waiting for something")
			case strings.HasSuffix(name, ".Skip"), strings.HasSuffix(name, ".Skipf"), strings.HasSuffix(name, ".SkipNow"):
				broken = append(broken, f.at(call)+": skips a test")
			}
			return true
		})
	}
	return broken
}

// callee returns what is called as it is written, for calls by name.
func callee(call *ast.CallExpr) string {
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		if x, ok := fn.X.(*ast.Ident); ok {
			return x.Name + "." + fn.Sel.Name
		}
		return "." + fn.Sel.Name
	}
	return ""
}
