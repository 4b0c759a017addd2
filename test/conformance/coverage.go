package conformance

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Test is a test that names rows: a function, a literal subtest of it, or a
// script.
type Test struct {
	Package string // directory below the module
	Name    string
	IDs     []string
}

// FindTests returns the tests below root whose names have ids in them,
// whatever their build tags are. What is called TestX_TL03_TL04_Y proves TL-03
// and TL-04; so does the script tl03_tl04_y.txt in a folder testdata.
func FindTests(root string) ([]Test, error) {
	var found []Test
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name, pkg := d.Name(), filepath.ToSlash(filepath.Dir(relative))
		switch {
		case d.IsDir() && path != root && (name == "node_modules" || strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case d.IsDir():
		case strings.HasSuffix(name, "_test.go"):
			tests, err := testsOf(path)
			for _, test := range tests {
				test.Package = pkg
				found = append(found, test)
			}
			return err
		case filepath.Ext(name) == ".txt" && slices.Contains(strings.Split(pkg, "/"), "testdata"):
			if ids := idsIn(strings.ToUpper(strings.TrimSuffix(name, ".txt"))); len(ids) > 0 {
				found = append(found, Test{pkg, name, ids})
			}
		}
		return nil
	})
	return found, err
}

// testsOf returns the tests of one file that name rows.
func testsOf(path string) ([]Test, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []Test
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Recv != nil || !isTest(function.Name.Name) {
			continue
		}
		name := function.Name.Name
		if ids := idsIn(name); len(ids) > 0 {
			found = append(found, Test{Name: name, IDs: ids})
		}
		ast.Inspect(function, func(n ast.Node) bool {
			sub := subtest(n)
			if ids := idsIn(sub); len(ids) > 0 {
				found = append(found, Test{Name: name + "/" + sub, IDs: ids})
			}
			return true
		})
	}
	return found, nil
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") && name != "TestMain" || strings.HasPrefix(name, "Fuzz")
}

// subtest returns the name in t.Run("name", …), empty if n is something else.
func subtest(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 {
		return ""
	}
	method, isMethod := call.Fun.(*ast.SelectorExpr)
	literal, isLiteral := call.Args[0].(*ast.BasicLit)
	if !isMethod || !isLiteral || method.Sel.Name != "Run" || literal.Kind != token.STRING {
		return ""
	}
	name, _ := strconv.Unquote(literal.Value) // the parser has read it
	return name
}

// id is one part of a name.
var id = regexp.MustCompile(`^(?:Test|Fuzz)?(S|RS|TR|TL|TM)(\d{2})$`)

// idsIn returns the ids of rows that stand between the underscores of a name.
func idsIn(name string) []string {
	var ids []string
	for part := range strings.SplitSeq(name, "_") {
		switch m := id.FindStringSubmatch(part); {
		case m == nil:
		case m[1] == "S":
			ids = append(ids, m[1]+m[2])
		default:
			ids = append(ids, m[1]+"-"+m[2])
		}
	}
	return ids
}

// Without returns the rows that no test names.
func Without(rows []Row, tests []Test) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(row Row) bool { return len(proofs(row, tests)) > 0 })
}

// Unknown returns the tests that name a row which does not exist.
func Unknown(rows []Row, tests []Test) []Test {
	return slices.DeleteFunc(slices.Clone(tests), func(test Test) bool {
		return !slices.ContainsFunc(test.IDs, func(id string) bool {
			return !slices.ContainsFunc(rows, func(row Row) bool { return row.ID == id })
		})
	})
}

// proofs returns the names of a row's tests by package.
func proofs(row Row, tests []Test) map[string][]string {
	byPackage := map[string][]string{}
	for _, test := range tests {
		if slices.Contains(test.IDs, row.ID) && !slices.Contains(byPackage[test.Package], test.Name) {
			byPackage[test.Package] = append(byPackage[test.Package], test.Name)
		}
	}
	return byPackage
}

// Table renders the rows with their tests as Markdown.
func Table(sections []Section, tests []Test) string {
	tests = slices.SortedFunc(slices.Values(tests), func(a, b Test) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Name, b.Name))
	})
	var out strings.Builder
	out.WriteString("# What is proven, and by which test\n\n" +
		"Made from the names of the tests: `go test ./test/conformance -run Coverage -update` writes this file anew.\n" +
		"Beside these, the official suite runs against the same server; README.md tells how.\n")
	for _, section := range sections {
		fmt.Fprintf(&out, "\n## %s\n\n| row | level | what must hold | tests |\n|---|---|---|---|\n", section.Title)
		for _, row := range section.Rows {
			byPackage := proofs(row, tests)
			var cells []string
			for _, pkg := range slices.Sorted(maps.Keys(byPackage)) {
				cells = append(cells, "`"+pkg+"`: "+strings.Join(byPackage[pkg], ", "))
			}
			fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", row.ID, row.Level, row.Must, strings.Join(cells, "<br>"))
		}
	}
	return out.String()
}
