//go:build !vm

package loader

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryAttackHasItsProof: a row, or an entry in elsewhere whose rows and tests exist.
// It reads the sources, which a VM has not.
func TestEveryAttackHasItsProof(t *testing.T) {
	files, err := filepath.Glob("testdata/attacks/*.c")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	var rows []string
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".c")
		rows = append(rows, name)
		id, _, _ := strings.Cut(name, "_")
		have[id] = true
	}
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "../cmd/jail/e2e/*_test.go"} {
		sources, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sources {
			text, err := os.ReadFile(s)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(text)
		}
	}
	ids := strings.Fields(checklist)
	for _, id := range ids {
		if !have[id] && elsewhere[id] == "" {
			t.Errorf("%s: no row, and not said why", id)
		}
	}
	row, test := regexp.MustCompile(`\b[A-Z]\d\d_\w+`), regexp.MustCompile(`\bTest\w+`)
	for id, text := range elsewhere {
		if !slices.Contains(ids, id) || have[id] {
			t.Errorf("%s: not in the list, or has a row", id)
		}
		for _, name := range row.FindAllString(text, -1) {
			if !slices.Contains(rows, name) {
				t.Errorf("%s: no row %s", id, name)
			}
		}
		for _, name := range test.FindAllString(text, -1) {
			if !strings.Contains(tests.String(), "func "+name+"(") {
				t.Errorf("%s: no test %s", id, name)
			}
		}
	}
}
