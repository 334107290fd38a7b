package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// dropKfuncs takes the calls of kernel functions that this kernel lacks out of the programs,
// where each stands behind a test for the function, and has the tests say no. The library does
// the same; but to find one such function missing it opens every BTF object that the system
// has, those of our own programs among them: some 900,000 times in a load on 6.1, which was
// more work than the rest of the load.
func dropKfuncs(spec *ebpf.CollectionSpec) error {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("%s: %w", btfFile, err)
	}
	var section *btf.Datasec
	if err := spec.Types.TypeByName(".ksyms", &section); err != nil {
		return fmt.Errorf("kernel functions of the programs: %w", err)
	}
	lacking := make(map[string]bool)
	for _, v := range section.Vars {
		ours, ok := v.Type.(*btf.Func)
		if !ok {
			continue
		}
		var fn *btf.Func
		if err := kernel.TypeByName(ours.Name, &fn); errors.Is(err, btf.ErrNotFound) {
			lacking[ours.Name] = true
		}
	}
	for _, prog := range spec.Programs {
		for i, ins := range prog.Instructions {
			if !lacking[ins.Reference()] {
				continue
			}
			plain := asm.LoadImm(ins.Dst, 0, asm.DWord)
			if ins.IsKfuncCall() {
				plain = asm.FnUnspec.Call() // refused, should a verifier come by
			}
			plain = plain.WithSymbol(ins.Symbol()).WithSource(ins.Source())
			if fn := btf.FuncMetadata(&ins); fn != nil {
				plain = btf.WithFuncMetadata(plain, fn)
			}
			prog.Instructions[i] = plain
		}
	}
	return nil
}
