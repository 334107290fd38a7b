package bpf

import (
	"testing"

	"github.com/cilium/ebpf/btf"
)

// TestABIHasNoImplicitPadding: user space writes these structs whole, and padding
// that nobody names carries whatever was on the stack.
func TestABIHasNoImplicitPadding(t *testing.T) {
	spec, err := LoadJail()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"policy", "role", "start_key", "net_range4", "net_range6", "net_node", "port_range",
		"member", "walk", "allowed", "subject", "pending", "domain", "pod", "control", "event", "subject_info", "entrant", "stamp",
		"guard_key", "path_identity", "sealing", "map_use", "program_use",
	} {
		var s *btf.Struct
		if err := spec.Types.TypeByName(name, &s); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		end := btf.Bits(0)
		for _, m := range s.Members {
			size, err := btf.Sizeof(m.Type)
			if err != nil {
				t.Fatal(err)
			}
			if m.Offset != end {
				t.Errorf("%s.%s begins at bit %d, the member before it ends at %d", name, m.Name, m.Offset, end)
			}
			end = m.Offset + btf.Bits(size*8)
		}
		if end != btf.Bits(s.Size*8) {
			t.Errorf("%s: %d bytes, members end at %d", name, s.Size, end/8)
		}
	}
}
