//go:build vm

package loader

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"
)

// A kernel that guarded LSM programs against recursion, as it does tracing programs, would
// skip one while another task's run of it is under way on the CPU: an allow. After the
// attacks, with their storms of forks and opens, none may have been. stamp_fork is a tracing
// program and may be: bpf/README.md names that gap.
func TestNoProgramWasSkipped(t *testing.T) {
	spec, err := embedded()
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for name := range spec.Programs {
		ours = append(ours, name[:min(len(name), 15)]) // what the kernel keeps of it
	}
	seen := 0
	for id, err := ebpf.ProgramGetNextID(0); err == nil; id, err = ebpf.ProgramGetNextID(id) {
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // gone meanwhile
		}
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		if stats, err := p.Stats(); err != nil {
			t.Errorf("%s: %v", info.Name, err)
		} else if slices.Contains(ours, info.Name) {
			seen++
			switch {
			case stats.RecursionMisses == 0:
			case info.Type == ebpf.Tracing:
				t.Logf("%s was skipped %d times", info.Name, stats.RecursionMisses)
			default:
				t.Errorf("%s was skipped %d times", info.Name, stats.RecursionMisses)
			}
		}
		p.Close()
	}
	if seen < len(spec.Programs)/2 {
		t.Errorf("only %d programs of jail are loaded", seen)
	}
}
