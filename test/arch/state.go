package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"iter"
	"path"
	"slices"
	"strings"
)

// noMutableState allows a package-level variable when it is blank, embedded,
// or set once to something that reads like a constant (a table, an error, a
// compiled pattern) and never written, nor its address taken, in its package.
func noMutableState(m *Module) []string {
	var broken []string
	for _, files := range m.byPackage() {
		info := resolve(files)
		written := writtenVariables(files, info)
		for _, f := range files {
			for name, why := range declared(f, info) {
				if why == "" && written[info.Defs[name]] {
					why = "is written to, or its address is taken"
				}
				if why != "" {
					broken = append(broken, fmt.Sprintf("%s: package variable %s %s", f.at(name), name.Name, why))
				}
			}
		}
	}
	slices.Sort(broken)
	return broken
}

// declared yields the package-level variables of a file, each with the reason
// why it can change, by how it is declared.
func declared(f File, info *types.Info) iter.Seq2[*ast.Ident, string] {
	return func(yield func(*ast.Ident, string) bool) {
		for _, spec := range variables(f.AST) {
			for i, name := range spec.Names {
				if name.Name != "_" && !yield(name, mutable(spec, i, info, f.test())) {
					return
				}
			}
		}
	}
}

// byPackage groups files that are compiled together.
func (m *Module) byPackage() map[string][]File {
	packages := map[string][]File{}
	for _, f := range m.Files {
		key := f.dir() + " " + f.AST.Name.Name
		packages[key] = append(packages[key], f)
	}
	return packages
}

// resolve tells which identifier is which variable. Imports are taken to be
// empty: whatever depends on them stays unresolved, and that is enough here.
func resolve(files []File) *types.Info {
	info := &types.Info{
		Defs:  map[*ast.Ident]types.Object{},
		Uses:  map[*ast.Ident]types.Object{},
		Types: map[ast.Expr]types.TypeAndValue{},
	}
	trees := make([]*ast.File, len(files))
	for i, f := range files {
		trees[i] = f.AST
	}
	config := types.Config{Importer: hollow{}, Error: func(error) {}}
	_, _ = config.Check(files[0].dir(), files[0].set, trees, info) // complains of every import, as it must
	return info
}

// hollow imports every package as an empty one.
type hollow struct{}

func (hollow) Import(name string) (*types.Package, error) {
	p := types.NewPackage(name, path.Base(name))
	p.MarkComplete()
	return p, nil
}

// variables returns the package-level variables of a file, but for embedded
// files, which only the compiler sets.
func variables(f *ast.File) []*ast.ValueSpec {
	var specs []*ast.ValueSpec
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			if spec, ok := s.(*ast.ValueSpec); ok && !embeds(g.Doc) && !embeds(spec.Doc) {
				specs = append(specs, spec)
			}
		}
	}
	return specs
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

// mutable says why the i-th variable of spec can change, by how it is declared;
// empty when it reads like a constant.
func mutable(spec *ast.ValueSpec, i int, info *types.Info, test bool) string {
	if len(spec.Values) == 0 {
		return "is not set where it is declared"
	}
	value := spec.Values[min(i, len(spec.Values)-1)]
	isError := strings.HasPrefix(strings.ToLower(spec.Names[i].Name), "err")
	why := ""
	ast.Inspect(value, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ChanType:
			why = "holds a channel"
		case *ast.UnaryExpr:
			if n.Op == token.AND && !isError {
				why = "points to something that can change"
			}
		case *ast.CompositeLit:
			if s, ok := n.Type.(*ast.SelectorExpr); ok && synchronizes(s) {
				why = "guards or holds state"
			}
		case *ast.CallExpr:
			if !constantLike(n, info, isError, test) {
				why = fmt.Sprintf("is made by %s, which may return something that changes", callee(n))
				return false
			}
		}
		return why == ""
	})
	return why
}

func synchronizes(s *ast.SelectorExpr) bool {
	x, ok := s.X.(*ast.Ident)
	return ok && (x.Name == "sync" || x.Name == "atomic")
}

// constantLike reports whether a call returns something that is never changed:
// a conversion, a compiled pattern, a parsed constant, an error.
func constantLike(call *ast.CallExpr, info *types.Info, isError, test bool) bool {
	if info.Types[call.Fun].IsType() {
		return true
	}
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		name := callee(call)
		return strings.HasPrefix(name, "must") || slices.Contains([]string{"len", "min", "max"}, name)
	}
	if inner, chained := fn.X.(*ast.CallExpr); chained {
		return constantLike(inner, info, isError, test)
	}
	owner, method := root(fn), fn.Sel.Name
	if owner == nil {
		return false
	}
	switch owner.Name {
	case "base64", "hex", "netip", "reflect", "regexp", "slices", "maps", "strings", "template", "time":
		return method != "NewTicker" && method != "NewTimer" && method != "NewReader"
	case "errors", "fmt":
		return isError
	case "flag":
		return test
	case "sync":
		return strings.HasPrefix(method, "OnceValue")
	}
	return strings.HasPrefix(method, "Must")
}

// writtenVariables returns every variable that is assigned to, in whole or in
// part, or whose address is taken. Locals are among them and do no harm.
func writtenVariables(files []File, info *types.Info) map[types.Object]bool {
	written := map[types.Object]bool{}
	mark := func(e ast.Expr) {
		if id := root(e); id != nil && info.Uses[id] != nil {
			written[info.Uses[id]] = true
		}
	}
	for _, f := range files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			for _, e := range targets(n) {
				mark(e)
			}
			return true
		})
	}
	return written
}

// targets returns the expressions that a node writes to.
func targets(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		return n.Lhs
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		return []ast.Expr{n.Key, n.Value}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if slices.Contains([]string{"delete", "clear", "copy"}, callee(n)) && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// root returns the variable that an expression is a part of.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
