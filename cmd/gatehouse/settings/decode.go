package settings

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Decode reads a settings file over the [Defaults]. It returns every problem
// it finds, in the order of the file, and not only the first; the settings
// are usable only when there is none.
func Decode(data []byte) (Settings, Problems) {
	s := Defaults()
	d := decoder{positions: map[string]position{}}
	d.file(data, &s)
	if !d.unreadable {
		for _, p := range s.check() {
			if d.isSpoiled(p.Key) {
				continue
			}
			at := d.locate(p.Key)
			p.Line, p.Column = at.line, at.column
			d.problems = append(d.problems, p)
		}
	}
	d.problems.sort()
	return s, d.problems
}

type position struct{ line, column int }

// decoder walks the syntax tree beside the structs, so that it can go on
// after a mistake and knows where each key stands.
type decoder struct {
	problems   Problems
	positions  map[string]position
	spoiled    []string // keys whose values could not be read
	unreadable bool     // nothing is known beyond the first mistake
}

func (d *decoder) file(data []byte, s *Settings) {
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return
	}
	for i, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case i > 0:
			d.note(doc.Body, "", "only one document is allowed")
		default:
			d.value(doc.Body, reflect.ValueOf(s).Elem(), "")
		}
	}
}

func (d *decoder) syntax(err error) {
	d.unreadable = true
	p := Problem{Line: 1, Column: 1, Message: err.Error()}
	if yamlErr, ok := errors.AsType[yaml.Error](err); ok {
		p.Message = yamlErr.GetMessage()
		if token := yamlErr.GetToken(); token != nil && token.Position != nil {
			p.Line, p.Column = token.Position.Line, token.Position.Column
		}
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	d.positions[path] = positionOf(n)
	if n.Type() == ast.NullType {
		return // "key:" with nothing behind it leaves the default
	}
	switch target := v.Addr().Interface().(type) {
	case *time.Duration:
		parseScalar(d, n, path, target, time.ParseDuration, "a duration such as 90s, 10m or 24h")
		return
	case *Bytes:
		parseScalar(d, n, path, target, ParseBytes, "a size such as 64MiB")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, path, "a mapping of keys", func(key string, at ast.Node, value ast.Node) {
			field, ok := fieldByKey(v, key)
			if !ok {
				known := keysOf(v.Type())
				d.note(at, path, "unknown key %q%s", key, Suggest(key, known))
				d.spoiled = append(d.spoiled, join(path, nearest(key, known))) // that one is not missing
				return
			}
			d.value(value, field, join(path, key))
		})
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		d.mapping(n, path, "a mapping of names", func(key string, at ast.Node, value ast.Node) {
			element := reflect.New(v.Type().Elem()).Elem()
			d.value(value, element, join(path, key))
			d.positions[join(path, key)] = positionOf(at) // names are chosen here, too
			v.SetMapIndex(reflect.ValueOf(key), element)
		})
	case reflect.Slice:
		d.sequence(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) mapping(n ast.Node, path, want string, visit func(key string, at, value ast.Node)) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		d.fail(n, path, "must be %s", want)
		return
	}
	lines := map[string]int{}
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		if line, again := lines[key]; again {
			d.note(pair.Key, join(path, key), "stands in line %d already", line)
			continue
		}
		lines[key] = positionOf(pair.Key).line
		visit(key, pair.Key, pair.Value)
	}
}

func (d *decoder) sequence(n ast.Node, v reflect.Value, path string) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(n, path, "must be a list, one entry per line after a dash")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, entry := range list.Values {
		d.value(entry, v.Index(i), path+"["+strconv.Itoa(i)+"]")
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string) {
	want, fits := "a whole number", n.Type() == ast.IntegerType
	switch v.Kind() {
	case reflect.String:
		want, fits = "text (put it in quotes)", n.Type() == ast.StringType || n.Type() == ast.LiteralType
	case reflect.Bool:
		want, fits = "true or false", n.Type() == ast.BoolType
	}
	if !fits || yaml.NodeToValue(n, v.Addr().Interface()) != nil {
		d.fail(n, path, "must be %s", want)
	}
}

func parseScalar[T any](d *decoder, n ast.Node, path string, target *T, parse func(string) (T, error), want string) {
	parsed, err := parse(n.GetToken().Value)
	if _, scalar := n.(ast.ScalarNode); !scalar || err != nil {
		d.fail(n, path, "must be %s", want)
		return
	}
	*target = parsed
}

// fail is for a value that cannot be read: nothing else is said about it.
func (d *decoder) fail(n ast.Node, path, format string, args ...any) {
	d.spoiled = append(d.spoiled, path)
	d.note(n, path, format, args...)
}

// isSpoiled reports whether what is said about key may come of a value that
// could not be read.
func (d *decoder) isSpoiled(key string) bool {
	return slices.ContainsFunc(d.spoiled, func(bad string) bool { return within(bad, key) || within(key, bad) })
}

// within reports whether inner is outer or lies below it.
func within(inner, outer string) bool {
	rest, ok := strings.CutPrefix(inner, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (d *decoder) note(n ast.Node, path, format string, args ...any) {
	at := positionOf(n)
	d.problems = append(d.problems, Problem{
		Line: at.line, Column: at.column, Key: path, Message: fmt.Sprintf(format, args...),
	})
}

// locate finds where the key stands, or the nearest one above it that does.
func (d *decoder) locate(key string) position {
	for {
		if at, ok := d.positions[key]; ok {
			return at
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return position{1, 1}
		}
		key = key[:cut]
	}
}

func positionOf(n ast.Node) position {
	// A block mapping's own token is the colon of its first pair.
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key
	}
	if token := n.GetToken(); token != nil && token.Position != nil {
		return position{token.Position.Line, token.Position.Column}
	}
	return position{1, 1}
}

func fieldByKey(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
