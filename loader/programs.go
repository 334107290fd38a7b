package loader

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// workers is how many programs are verified at a time, at most: each may take some tens of
// megabytes while it lasts, and a second copy of the maps' descriptors.
const workers = 4

// newCollection is [ebpf.NewCollectionWithOptions] with the programs verified side by side,
// which the kernel does without a lock for privileged callers. held are maps that there are.
func newCollection(spec *ebpf.CollectionSpec, held map[string]*ebpf.Map) (*ebpf.Collection, error) {
	only := func(programs map[string]*ebpf.ProgramSpec) *ebpf.CollectionSpec {
		part := *spec
		part.Programs = programs
		return &part
	}
	cache := btf.NewCache()
	// With the maps comes the program that has the library read the kernel's symbols, once.
	const first = "probe_renames"
	coll, err := ebpf.NewCollectionWithOptions(
		only(map[string]*ebpf.ProgramSpec{first: spec.Programs[first]}),
		ebpf.CollectionOptions{MapReplacements: held, Cache: cache})
	if err != nil {
		return nil, err
	}
	// The large ones first, and dealt out, so that nobody ends much later than the others.
	names := slices.SortedFunc(maps.Keys(spec.Programs), func(a, b string) int {
		return len(spec.Programs[b].Instructions) - len(spec.Programs[a].Instructions)
	})
	names = slices.DeleteFunc(names, func(name string) bool { return name == first })
	count := min(workers, runtime.NumCPU())
	parts, errs := make([]*ebpf.Collection, count), make([]error, count)
	var wait sync.WaitGroup
	for i := range count {
		programs := make(map[string]*ebpf.ProgramSpec)
		for j := i; j < len(names); j += count {
			programs[names[j]] = spec.Programs[names[j]]
		}
		wait.Go(func() {
			part := only(programs)
			part.Variables = nil // they are in the maps
			parts[i], errs[i] = ebpf.NewCollectionWithOptions(part, ebpf.CollectionOptions{MapReplacements: coll.Maps, Cache: cache})
		})
	}
	wait.Wait()
	for _, part := range parts {
		if part == nil {
			continue
		}
		maps.Copy(coll.Programs, part.Programs)
		part.Programs = nil
		part.Close()
	}
	for _, err := range errs { // one tells enough
		if err != nil {
			coll.Close()
			return nil, err
		}
	}
	return coll, nil
}

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
