package conformance

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

const goldenMatrix = "testdata/matrix.golden"

// The dimensions of the matrix, in the order of its lines and columns.
func verbs() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, preflight, http.MethodTrace, "SPY",
	}
}
func tokens() []string {
	return []string{"none", "bad", "foreign", "expired", "early", "revoked", "low", "good", "other", "twice"}
}
func origins() []string { return []string{"absent", "good", "evil", "null"} }
func hosts() []string   { return []string{"good", "evil"} }

// What is asked: a tool is called in a session, or without one; or the path is
// one that needs no token, or the metadata.
func places() []string { return []string{"session", "stateless", "exempt", "metadata"} }

const preflight = "preflight" // OPTIONS as a browser asks before a script's request

// request is one cell of the matrix.
type request struct{ place, verb, host, origin, token string }

// lines are the lines of the matrix: requests without a token.
func lines(yield func(request) bool) {
	for _, place := range places() {
		for _, verb := range verbs() {
			for _, host := range hosts() {
				for _, origin := range origins() {
					if !yield(request{place, verb, host, origin, ""}) {
						return
					}
				}
			}
		}
	}
}

// cells are the requests of a line.
func (r request) cells(yield func(request) bool) {
	for _, r.token = range tokens() {
		if !yield(r) {
			return
		}
	}
}

// TestMatrix_S03_S21_S22_TR01_RS10_RS11_RS12_RS14 asks every verb with every
// kind of token, Origin and Host, in both eras, over real connections. What each
// answer is stands in the golden table, and what must hold whatever the table
// says in laws.
func TestMatrix_S03_S21_S22_TR01_RS10_RS11_RS12_RS14(t *testing.T) {
	t.Parallel()
	w := newMatrix(t)
	answers := map[request]reply{}
	for line := range lines {
		for r := range line.cells {
			a := w.ask(t, r)
			answers[r] = a
			if broken := laws(r, a); broken != "" {
				t.Errorf("%v: %s\n%s", r, broken, a)
			}
		}
	}
	log := w.log.String()
	if !strings.Contains(log, `"reason":"insufficient_scope"`) {
		t.Error("the log tells nothing")
	}
	for name, values := range w.tokens {
		for _, value := range values {
			if _, token, _ := strings.Cut(value, " "); strings.Contains(log, token) {
				t.Errorf("the token %q stands in the log", name)
			}
		}
	}
	compareGolden(t, goldenMatrix, render(answers))
}

// compareGolden compares text with what the file holds, and says which lines
// differ.
func compareGolden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(golden), "\n"), strings.Split(text, "\n")
	for i := range max(len(was), len(is)) {
		if i >= len(was) || i >= len(is) || was[i] != is[i] {
			t.Fatalf("line %d of %s differs:\n- %s\n+ %s\nread all differences after: go test ./test/conformance -run Matrix -update",
				i+1, path, at(was, i), at(is, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// render writes the table: one line for each place, verb, host and origin, one
// column for each token. A cell names an answer, which stands below; what all
// answers have is said once.
func render(answers map[request]reply) string {
	common := shared(answers)
	var out bytes.Buffer
	names, texts, count := map[string]string{}, map[string]string{}, map[int]int{}
	table := tabwriter.NewWriter(&out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(table, strings.Join(slices.Concat([]string{"asked", "verb", "Host", "Origin"}, tokens()), "\t"))
	for line := range lines {
		columns := []string{line.place, line.verb, line.host, line.origin}
		for r := range line.cells {
			a := answers[r]
			text := a.text(common)
			key := fmt.Sprint(a.status, text)
			if names[key] == "" {
				count[a.status]++
				names[key] = fmt.Sprintf("%d%c", a.status, 'a'-1+count[a.status])
				texts[names[key]] = text
			}
			columns = append(columns, names[key])
		}
		fmt.Fprintln(table, strings.Join(columns, "\t"))
	}
	table.Flush()
	fmt.Fprintf(&out, "\n== all\n%s\n", strings.Join(slices.Sorted(maps.Keys(common)), "\n"))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(&out, "\n== %s\n%s\n", name, texts[name])
	}
	return out.String()
}

// shared returns the lines of the headers that all answers have.
func shared(answers map[request]reply) map[string]bool {
	count, common := map[string]int{}, map[string]bool{}
	for _, a := range answers {
		for _, line := range a.fields() {
			count[line]++
		}
	}
	for line, n := range count {
		if n == len(answers) {
			common[line] = true
		}
	}
	return common
}

// reply is an answer without what is another one each time.
type reply struct {
	status int
	header http.Header
	body   string
}

// fields are the lines of the header, in order.
func (a reply) fields() []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		for _, value := range a.header[name] {
			lines = append(lines, name+": "+value)
		}
	}
	return lines
}

// text is the answer without some lines of its header.
func (a reply) text(without map[string]bool) string {
	lines := slices.DeleteFunc(a.fields(), func(line string) bool { return without[line] })
	if a.body != "" {
		lines = append(lines, "", strings.TrimSuffix(a.body, "\n"))
	}
	return strings.Join(lines, "\n")
}

func (a reply) String() string { return fmt.Sprintf("%d\n%s", a.status, a.text(nil)) }
