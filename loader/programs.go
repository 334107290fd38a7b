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
	// All share what is known of the kernel's types. Of modules' there is to be nothing: the
	// library reads those, and through them the kernel's, without a lock.
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", btfFile, err)
	}
	options := ebpf.CollectionOptions{
		MapReplacements: held,
		Programs:        ebpf.ProgramOptions{KernelTypes: kernel},
		Cache:           btf.NewCache(),
	}
	coll, err := ebpf.NewCollectionWithOptions(
		only(map[string]*ebpf.ProgramSpec{finderProgram: spec.Programs[finderProgram]}), options)
	if err != nil {
		return nil, err
	}
	if err := findRenames(spec, coll); err != nil {
		coll.Close()
		return nil, err
	}
	// The large ones first, and dealt out, so that nobody ends much later than the others.
	names := slices.SortedFunc(maps.Keys(spec.Programs), func(a, b string) int {
		return len(spec.Programs[b].Instructions) - len(spec.Programs[a].Instructions)
	})
	names = slices.DeleteFunc(names, func(name string) bool { return name == finderProgram })
	options.MapReplacements = coll.Maps
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
			parts[i], errs[i] = ebpf.NewCollectionWithOptions(part, options)
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

// finderProgram tells where the kernel's rename_lock is.
const finderProgram = "find_renames"

// findRenames runs the finder, takes it out of the collection, and gives its answer to the
// programs that are not loaded yet. Where it finds nothing the library looks in its own way.
func findRenames(spec *ebpf.CollectionSpec, coll *ebpf.Collection) error {
	finder := coll.DetachProgram(finderProgram)
	if finder == nil {
		return fmt.Errorf("program %s is missing", finderProgram)
	}
	defer finder.Close()
	var at uint64
	code, err := finder.Run(&ebpf.RunOptions{Context: at, ContextOut: &at})
	if err != nil {
		return fmt.Errorf("%s: %w", finderProgram, translate(err))
	}
	if code == 0 && at != 0 {
		replaceReferences(spec, func(ins asm.Instruction) (asm.Instruction, bool) {
			return asm.LoadImm(ins.Dst, int64(at), asm.DWord), ins.Reference() == "rename_lock"
		})
	}
	return nil
}

// dropKfuncs takes the calls of kernel functions that this kernel lacks out of the programs,
// where each stands behind a test for the function, and has the tests say no. The library does
// the same; but to find one such function missing it opens every BTF object that the system
// has, those of our own programs among them: 360,000 times in a load on 6.1, which was
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
	replaceReferences(spec, func(ins asm.Instruction) (asm.Instruction, bool) {
		if ins.IsKfuncCall() { // refused, should a verifier come by
			return asm.FnUnspec.Call(), lacking[ins.Reference()]
		}
		return asm.LoadImm(ins.Dst, 0, asm.DWord), lacking[ins.Reference()]
	})
	return nil
}

// replaceReferences puts other instructions in the place of those that name a symbol of the
// kernel, where the function says so.
func replaceReferences(spec *ebpf.CollectionSpec, by func(asm.Instruction) (asm.Instruction, bool)) {
	for _, prog := range spec.Programs {
		for i, ins := range prog.Instructions {
			if ins.Reference() == "" {
				continue
			}
			plain, ok := by(ins)
			if !ok {
				continue
			}
			plain = plain.WithSymbol(ins.Symbol()).WithSource(ins.Source())
			if fn := btf.FuncMetadata(&ins); fn != nil {
				plain = btf.WithFuncMetadata(plain, fn)
			}
			prog.Instructions[i] = plain
		}
	}
}
