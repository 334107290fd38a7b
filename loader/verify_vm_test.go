//go:build vm

package loader

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
)

// TestEveryProgramVerifies loads all programs and prints what the verifier spent on each: a
// change that makes it explore much more shows here before it hits the limit of a million
// instructions on some kernel.
func TestEveryProgramVerifies(t *testing.T) {
	spec, err := programSpec()
	if err != nil {
		t.Fatal(err)
	}
	options := ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}}
	coll, err := ebpf.NewCollectionWithOptions(spec, options)
	if err != nil {
		// Statistics keep the verifier from saying what it does not like.
		if _, why := ebpf.NewCollection(spec); why != nil {
			err = why
		}
		t.Fatal(translate(err))
	}
	defer coll.Close()
	processed := regexp.MustCompile(`processed (\d+) insns`)
	total := 0
	for _, name := range slices.Sorted(maps.Keys(coll.Programs)) {
		m := processed.FindStringSubmatch(coll.Programs[name].VerifierLog)
		if m == nil {
			t.Errorf("%s: no count in the verifier's log", name)
			continue
		}
		n, _ := strconv.Atoi(m[1])
		total += n
		t.Logf("%-18s %7d instructions verified", name, n)
	}
	t.Logf("%-18s %7d", "all", total)
}
