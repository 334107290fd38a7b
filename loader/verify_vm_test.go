//go:build vm

package loader

import (
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"jail/bpf"
)

// TestEveryProgramVerifies loads each program by itself and prints what the verifier
// spent on it: a change that makes it explore much more shows here before it hits the
// limit of a million instructions on some kernel.
func TestEveryProgramVerifies(t *testing.T) {
	spec, err := bpf.LoadJail()
	if err != nil {
		t.Fatal(err)
	}
	chooseVariants(spec)
	if err := setattrLayout(spec); err != nil {
		t.Fatal(err)
	}
	processed := regexp.MustCompile(`processed (\d+) insns`)
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if only := os.Getenv("ONLY"); only != "" && !slices.Contains(strings.Split(only, ","), name) {
			continue
		}
		one := spec.Copy()
		for other := range one.Programs {
			if other != name {
				delete(one.Programs, other)
			}
		}
		start := time.Now()
		coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
		if optionalHooks[spec.Programs[name].AttachTo] && errors.Is(err, ebpf.ErrNotSupported) {
			t.Logf("%-18s the kernel lacks its hook", name)
			continue
		}
		if err != nil {
			// Statistics keep the verifier from saying what it does not like.
			coll, err := ebpf.NewCollection(one)
			if err == nil {
				coll.Close()
			}
			t.Errorf("%s: %v", name, translate(err))
			continue
		}
		stats := "?"
		if m := processed.FindStringSubmatch(coll.Programs[name].VerifierLog); m != nil {
			stats = m[1]
		}
		t.Logf("%-16s %8s instructions verified in %v", name, stats, time.Since(start).Round(time.Millisecond))
		coll.Close()
	}
}
