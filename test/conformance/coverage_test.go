package conformance

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write COVERAGE.md and the golden tables anew")

const coverageFile = "COVERAGE.md"

func TestCoverage_EveryRowHasATest(t *testing.T) {
	t.Parallel()
	tests, err := FindTests("../..")
	if err != nil {
		t.Fatal(err)
	}
	table := Table(Sections(), tests)
	if *update {
		if err := os.WriteFile(coverageFile, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range Without(Rows(), tests) {
		t.Errorf("no test is named after %s (%s: %s)", row.ID, row.Level, row.Must)
	}
	for _, test := range Unknown(Rows(), tests) {
		t.Errorf("%s: %s names a row that does not exist: %s", test.Package, test.Name, test.IDs)
	}
	if written, err := os.ReadFile(coverageFile); err != nil || string(written) != table {
		t.Errorf("%s is not what the tests are called now; write it anew with -run Coverage -update", coverageFile)
	}
}

func TestCoverage_ReadsNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"TestSeed_S07_AnotherHeader": {"S07"},
		"TestRS07_BrokenTokens":      {"RS-07"},
		"TestX_TL03_TL04_Sessions":   {"TL-03", "TL-04"},
		"FuzzRead_TM19":              {"TM-19"},
		"S26_NO_TOKEN":               {"S26"},
		"TestPKCE_S256":              nil,
		"TestX_RFC7636_4_2":          nil,
		"TestXS07":                   nil,
		"TestAS07_Redirects":         nil,
	} {
		if got := idsIn(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestCoverage_FindsTests(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"a/x_test.go": "//go:build never\n\npackage a\n\nfunc TestS01_x() {}\nfunc TestPlain() {\n\tt.Run(\"S02_sub\", nil)\n\tt.Run(name, nil)\n}\n" +
			"func (x) TestS03_method() {}\nfunc helperS04_() {}\n",
		"a/x.go":                        "package a\n\nfunc TestS05_elsewhere() {}\n",
		"a/testdata/s06_script.txt":     "",
		"a/s07_script.txt":              "",
		"node_modules/s/s_test.go":      "not Go",
		"a/testdata/script/tr01_x.txt":  "",
		"a/testdata/script/golden.json": "",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tests, err := FindTests(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, test := range tests {
		names = append(names, test.Package+" "+test.Name+" "+test.IDs[0])
	}
	want := []string{"a/testdata s06_script.txt S06", "a/testdata/script tr01_x.txt TR-01", "a TestS01_x S01", "a TestPlain/S02_sub S02"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	if left := Without([]Row{{ID: "S01"}, {ID: "S03"}}, tests); len(left) != 1 || left[0].ID != "S03" {
		t.Errorf("without a test: %v", left)
	}
	if unknown := Unknown([]Row{{ID: "S01"}, {ID: "S02"}, {ID: "S06"}}, tests); len(unknown) != 1 || unknown[0].Name != "tr01_x.txt" {
		t.Errorf("unknown rows: %v", unknown)
	}
}
