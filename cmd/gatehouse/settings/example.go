package settings

import (
	"embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// source is this package's own text: the manual cannot drift from the structs
// because it is read from them.
//
//go:embed settings*.go
var source embed.FS

// Example returns a complete settings file with every key, its manual and its
// default; keys without a default show a value for this machine.
func Example() (string, error) {
	docs, err := readDocs(source)
	if err != nil {
		return "", err
	}
	p := printer{docs: docs}
	p.line(0, "# Settings of gatehouse. Keys that are left out have the value shown here.")
	p.fields(0, reflect.ValueOf(Sample()))
	return p.String(), nil
}

// docs are the comments of struct fields, by type and field name.
type docs map[string]map[string]string

func readDocs(files embed.FS) (docs, error) {
	out := docs{}
	names, err := fs.Glob(files, "*.go")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				out.add(spec)
			}
			return true
		})
	}
	return out, nil
}

func (d docs) add(spec *ast.TypeSpec) {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	fields := map[string]string{}
	for _, f := range structure.Fields.List {
		for _, name := range f.Names {
			fields[name.Name] = strings.TrimSpace(f.Doc.Text())
		}
	}
	d[spec.Name.Name] = fields
}

// printer writes YAML. A sketch shows in place of a zero value the example in
// the tag of its field.
type printer struct {
	strings.Builder
	docs   docs
	sketch bool
}

func (p *printer) line(indent int, format string, args ...any) {
	text := strings.Repeat("  ", indent) + fmt.Sprintf(format, args...)
	p.WriteString(strings.TrimRight(text, " ") + "\n")
}

// fields prints the keys of a struct, each below its manual.
func (p *printer) fields(indent int, v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		if indent == 0 {
			p.line(0, "")
		}
		for text := range strings.SplitSeq(p.manual(t, t.Field(i)), "\n") {
			p.line(indent, "# %s", text)
		}
		key := t.Field(i).Tag.Get("yaml")
		if example, ok := t.Field(i).Tag.Lookup("example"); ok && p.sketch {
			p.line(indent, "%s: %s", key, example)
			continue
		}
		p.key(indent, key, v.Field(i), t.Field(i).Tag.Get("example"))
	}
}

// manual is the field's comment with keys in place of the Go names.
func (p *printer) manual(t reflect.Type, f reflect.StructField) string {
	text := p.docs[t.Name()][f.Name]
	first := regexp.MustCompile(`^` + f.Name + `\b`)
	return first.ReplaceAllString(text, f.Tag.Get("yaml"))
}

// key prints a key with its value; example is an entry for a mapping of texts
// that is empty.
func (p *printer) key(indent int, key string, v reflect.Value, example string) {
	switch {
	case isScalar(v):
		p.line(indent, "%s: %s", key, scalarText(v))
	case v.Kind() == reflect.Struct:
		p.line(indent, "%s:", key)
		p.fields(indent+1, v)
	case v.Kind() == reflect.Slice && isScalar(reflect.Zero(v.Type().Elem())):
		p.line(indent, "%s: [%s]", key, strings.Join(scalarTexts(v), ", "))
	case v.Len() == 0:
		p.empty(indent, key, v, example)
	default: // the only default with entries is a list of structs
		p.line(indent, "%s:", key)
		for i := range v.Len() {
			p.entry(indent+1, v.Index(i))
		}
	}
}

// empty prints a list or mapping without entries, and behind it, commented
// out, what an entry would look like.
func (p *printer) empty(indent int, key string, v reflect.Value, example string) {
	sketch := printer{docs: p.docs, sketch: true}
	element := reflect.Zero(v.Type().Elem())
	switch {
	case v.Kind() == reflect.Map && isScalar(element):
		p.line(indent, "%s: {}", key)
		sketch.line(1, "%s", example)
	case v.Kind() == reflect.Map:
		p.line(indent, "%s: {}", key)
		sketch.line(1, "%s:", example)
		sketch.fields(2, element)
	default:
		p.line(indent, "%s: []", key)
		sketch.entry(1, element)
	}
	for text := range strings.Lines(sketch.String()) {
		p.line(indent, "#%s", strings.TrimSuffix(text, "\n"))
	}
}

// entry prints a struct as an element of a list.
func (p *printer) entry(indent int, v reflect.Value) {
	element := printer{docs: p.docs, sketch: p.sketch}
	element.fields(indent+1, v)
	lines := strings.Split(strings.TrimSuffix(element.String(), "\n"), "\n")
	dash := slices.IndexFunc(lines, func(l string) bool { return !strings.HasPrefix(strings.TrimSpace(l), "#") })
	at := 2 * indent
	lines[dash] = lines[dash][:at] + "-" + lines[dash][at+1:]
	p.WriteString(strings.Join(lines, "\n") + "\n")
}

func isScalar(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	}
	return false
}

func scalarText(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return ShortDuration(value)
	case fmt.Stringer:
		return value.String()
	}
	if v.Kind() == reflect.String {
		return plainOrQuoted(v.String())
	}
	return fmt.Sprint(v.Interface())
}

func scalarTexts(v reflect.Value) []string {
	texts := make([]string, v.Len())
	for i := range texts {
		texts[i] = scalarText(v.Index(i))
	}
	return texts
}

// plainOrQuoted quotes text that YAML could read as something else.
func plainOrQuoted(s string) string {
	if regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./:-]*$`).MatchString(s) && s != "true" && s != "false" && s != "null" {
		return s
	}
	return strconv.Quote(s)
}

// ShortDuration leaves out the zero parts of 1h0m0s.
func ShortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
