package bpf

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"
)

// TestProgramsLoad hands every program to the verifier.
func TestProgramsLoad(t *testing.T) {
	if os.Getenv("JAIL_VM") == "" {
		t.Skip("needs a VM of its own: make test-vm")
	}
	spec, err := LoadJail()
	if err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	coll.Close()
}
