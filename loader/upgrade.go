package loader

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"jail/bpf"
)

// toldMaps carry what is told: a build whose events look otherwise makes them anew. All
// other maps are the state that an upgrade keeps.
var toldMaps = []string{"events", "denials"}

// settleTimeout is how long [Upgrade] waits for the tasks that were running.
const settleTimeout = time.Minute

// Upgrade puts this program's set of programs in the place of the one that acts, and tells
// whether there was anything to do. The new programs are attached beside the old ones,
// with the same maps; one word says who acts: the old ones, both, the new ones. Nothing is
// detached, so that no task is ever between two sets. After an error, or a kill at any
// step, the old set acts, or both do; the next Upgrade goes on from there.
//
// [ErrABI] where the maps that are pinned are not what this program's programs can use:
// nothing has changed then. [ErrJailed] inside a jail, [ErrClosed] where the load is not
// whole.
func Upgrade(ctx context.Context) (done bool, err error) {
	unlock, err := lockOutside()
	if err != nil {
		return false, err
	}
	defer unlock()
	k, err := open()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	c, err := k.control()
	if err != nil {
		return false, err
	}
	if err := mayFollow(c.Abi); err != nil {
		return false, err
	}
	if c.Door != 1 {
		return false, ErrClosed
	}
	if k.sealed != SealNone {
		return false, ErrSealed
	}
	sets, err := pinnedSets()
	if err != nil {
		return false, err
	}
	first, second := acts(c.Instance)
	if k.set.mine() && second == 0 && c.Abi == uint32(bpf.JailAbiABI_VERSION) {
		return false, nil
	}
	next, err := k.nextSet(sets)
	if err != nil {
		return false, err
	}
	step("begin")
	if !next.whole() {
		if err := k.attachBeside(next); err != nil {
			return false, err
		}
	}
	step("attached")
	// An upgrade to yet another build was not finished: back to the one it began from.
	if second != 0 && next.number != first && next.number != second {
		if err := k.let(ctx, first); err != nil {
			return false, err
		}
	}
	old := k.set
	if err := k.let(ctx, next.number); err != nil {
		return false, err
	}
	if err := k.become(next); err != nil {
		return false, err
	}
	if err := k.selfTest(ctx); err != nil {
		return false, errors.Join(err, k.let(ctx, old.number))
	}
	if err := k.Guard(); err != nil { // this program's file, too
		return false, err
	}
	c.Abi = uint32(bpf.JailAbiABI_VERSION)
	s, err := k.share()
	if err != nil {
		return false, err
	}
	atomic.StoreUint32(&s.control.Abi, c.Abi)
	step("abi")
	return true, k.tell(bpf.JailEventKindEVENT_UPGRADE, next.number)
}

// mayFollow tells whether this program takes over what that version made.
func mayFollow(pinned uint32) error {
	switch {
	case pinned > uint32(bpf.JailAbiABI_VERSION):
		return fmt.Errorf("ABI %d is newer than this program's %d: %w", pinned, bpf.JailAbiABI_VERSION, ErrABI)
	case pinned < uint32(bpf.JailAbiABI_OLDEST):
		return fmt.Errorf("ABI %d; this program takes over from %d on: %w", pinned, bpf.JailAbiABI_OLDEST, ErrABI)
	}
	return nil
}

// nextSet is this program's set where one is pinned, also in part; else a new one.
func (k *Kernel) nextSet(sets []set) (set, error) {
	for _, s := range sets {
		if s.mine() {
			return s, nil
		}
	}
	number := sets[len(sets)-1].number + 1
	if number > uint32(bpf.JailAbiINSTANCE_MASK) {
		return set{}, fmt.Errorf("%d upgrades since the start: %w", number-1, ErrNotSupported)
	}
	return set{number, bpf.Build()}, nil
}

// whole tells whether all links of the set were pinned, and still are.
func (s set) whole() bool {
	names, want, err := s.links()
	return err == nil && want > 0 && len(names) >= want
}

// attachBeside loads and attaches the set's programs, which do not act yet. What was pinned
// stays after an error, since nothing is to be detached.
func (k *Kernel) attachBeside(next set) (err error) {
	if err := probeError(Probe()); err != nil {
		return err
	}
	spec, err := programSpec()
	if err != nil {
		return err
	}
	own, coll, err := k.loadSet(next, spec)
	if err != nil {
		return err
	}
	defer coll.Close()
	defer func() { err = errors.Join(err, own.Close()) }()
	return own.attach(spec, coll)
}

// enoughDescriptors asks before the first is used up: a probe of the kernel that finds none
// left would say that the kernel lacks what was probed.
func enoughDescriptors(spec *ebpf.CollectionSpec) error {
	const others = 16 // the standard ones, those of the runtime, BTF, the link under way
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of descriptors: %w", err)
	}
	if need := uint64(len(spec.Maps)*(3+workers) + len(spec.Programs) + others); limit.Cur < need {
		return fmt.Errorf("a load needs %d descriptors, and the limit is %d (ulimit -n): %w", need, limit.Cur, unix.EMFILE)
	}
	return nil
}

// loadSet loads a set's programs with the maps that it has pinned and those that it shares
// with the set that acts.
func (k *Kernel) loadSet(next set, spec *ebpf.CollectionSpec) (*Kernel, *ebpf.Collection, error) {
	if err := enoughDescriptors(spec); err != nil {
		return nil, nil, err
	}
	if err := spec.Variables[bpf.JailVarInstance].Set(next.number); err != nil {
		return nil, nil, err
	}
	held, err := k.mapsFor(next, spec)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		for _, m := range held {
			_ = m.Close()
		}
	}()
	coll, err := newCollection(spec, held)
	if err != nil {
		return nil, nil, fmt.Errorf("programs: %w", translate(err))
	}
	if err := checkRenames(coll); err != nil {
		coll.Close()
		return nil, nil, err
	}
	step("loaded")
	own := &Kernel{set: next, maps: make(map[string]*ebpf.Map)}
	for name, m := range coll.Maps {
		if strings.HasPrefix(name, ".") { // constants: they live with the programs
			continue
		}
		own.maps[name] = m
		delete(coll.Maps, name)
	}
	return own, coll, nil
}

// attach pins and attaches what the set has not yet. Each link is pinned as soon as there is
// one: what a kill leaves serves the next try.
func (k *Kernel) attach(spec *ebpf.CollectionSpec, coll *ebpf.Collection) error {
	if err := k.set.makeDirs(); err != nil {
		return err
	}
	if err := k.pinMaps(k.set); err != nil {
		return err
	}
	step("maps")
	if err := pinPrograms(k.set, coll.Programs); err != nil {
		return err
	}
	step("programs")
	pinned, _, err := k.set.links()
	if err != nil {
		return err
	}
	links := 0
	for _, name := range slices.Sorted(maps.Keys(coll.Programs)) {
		if onDemand(coll.Programs[name].Type()) {
			continue
		}
		links++
		if slices.Contains(pinned, name) {
			continue
		}
		how := spec.Programs[name].AttachType
		if err := attachAndPin(coll.Programs[name], how, filepath.Join(k.set.dir(linksDir), name)); err != nil {
			return err
		}
		step("link")
	}
	if err := k.guardObjects(); err != nil {
		return fmt.Errorf("guard BPF objects: %w", err)
	}
	step("guarded")
	return k.set.markWhole(links)
}

func attachAndPin(prog *ebpf.Program, how ebpf.AttachType, path string) error {
	l, err := attachOne(prog, how)
	if err != nil {
		return fmt.Errorf("attach %s: %w", filepath.Base(path), translate(err))
	}
	defer l.Close()
	step("unpinned")
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin link %s: %w", filepath.Base(path), translate(err))
	}
	return nil
}

// mapsFor finds the maps that the set's programs are loaded with: those that it has pinned
// itself, and of the acting set those that hold state. What is left is made by the load.
// [ErrABI] where one that holds state has another layout.
func (k *Kernel) mapsFor(next set, spec *ebpf.CollectionSpec) (map[string]*ebpf.Map, error) {
	own := &Kernel{maps: make(map[string]*ebpf.Map)}
	if err := own.openMaps(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	held := own.maps
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		old := k.maps[name]
		if strings.HasPrefix(name, ".") {
			continue
		}
		if held[name] == nil && old != nil {
			err := sameLayout(spec.Maps[name], old)
			switch {
			case err == nil:
			case slices.Contains(toldMaps, name) || name == "counters" && isLarger(spec.Maps[name], old):
				continue
			default:
				errs = append(errs, fmt.Errorf("map %s: %w: %w", name, err, ErrABI))
				continue
			}
			clone, err := old.Clone()
			if err != nil {
				errs = append(errs, err)
				continue
			}
			held[name] = clone
		}
		if m := held[name]; m != nil && m.Type() == ebpf.Hash {
			spec.Maps[name].MaxEntries = m.MaxEntries() // as it was loaded
		}
	}
	// The reader of the one learns from the other what the events look like.
	if held["denials"] == nil && held["events"] != nil && own.maps["events"] == nil {
		_ = held["events"].Close()
		delete(held, "events")
	}
	if len(errs) > 0 {
		for _, m := range held {
			_ = m.Close()
		}
		return nil, errors.Join(errs...)
	}
	return held, nil
}

// isLarger: the same map with more entries.
func isLarger(spec *ebpf.MapSpec, m *ebpf.Map) bool {
	return spec.Type == m.Type() && spec.KeySize == m.KeySize() && spec.ValueSize == m.ValueSize() && spec.MaxEntries > m.MaxEntries()
}

// sameLayout tells whether programs made for the one can use the other: the same type,
// sizes and flags, and members of the same names, places and sizes.
func sameLayout(spec *ebpf.MapSpec, m *ebpf.Map) error {
	if err := sameShape(spec, m); err != nil || m.Type() == ebpf.RingBuf {
		return err
	}
	info, err := m.Info()
	if err != nil {
		return err
	}
	id, ok := info.BTFID()
	if !ok || m.Type() == ebpf.ArrayOfMaps {
		return nil
	}
	handle, err := btf.NewHandleFromID(id)
	if err != nil {
		return fmt.Errorf("types: %w", translate(err))
	}
	defer handle.Close()
	types, err := handle.Spec(nil)
	if err != nil {
		return fmt.Errorf("types: %w", err)
	}
	for _, want := range []btf.Type{spec.Key, spec.Value} {
		s, ok := want.(*btf.Struct)
		if !ok {
			continue
		}
		var got *btf.Struct
		if err := types.TypeByName(s.Name, &got); err != nil {
			return fmt.Errorf("struct %s: %w", s.Name, err)
		}
		if err := sameType(s, got); err != nil {
			return err
		}
	}
	return nil
}

// sameShape is sameLayout without the members.
func sameShape(spec *ebpf.MapSpec, m *ebpf.Map) error {
	switch {
	case spec.Type != m.Type():
		return fmt.Errorf("type %s, here %s", m.Type(), spec.Type)
	case m.Type() == ebpf.RingBuf:
		return nil
	case spec.KeySize != m.KeySize() || spec.ValueSize != m.ValueSize() && m.Type() != ebpf.ArrayOfMaps:
		return fmt.Errorf("key and value of %d and %d bytes, here %d and %d", m.KeySize(), m.ValueSize(), spec.KeySize, spec.ValueSize)
	case spec.Flags&^m.Flags() != 0:
		return fmt.Errorf("flags %#x, here %#x", m.Flags(), spec.Flags)
	case m.Type() != ebpf.Hash && spec.MaxEntries != m.MaxEntries() && spec.MaxEntries != 0:
		return fmt.Errorf("%d entries, here %d", m.MaxEntries(), spec.MaxEntries)
	}
	return nil
}

// sameType compares two types of values as far as programs depend on them.
func sameType(want, got btf.Type) error {
	want, got = btf.UnderlyingType(want), btf.UnderlyingType(got)
	switch w := want.(type) {
	case *btf.Struct:
		g, ok := got.(*btf.Struct)
		if !ok || len(w.Members) != len(g.Members) || w.Size != g.Size {
			return fmt.Errorf("struct %s is another", w.Name)
		}
		for i, m := range w.Members {
			if m.Name != g.Members[i].Name || m.Offset != g.Members[i].Offset {
				return fmt.Errorf("struct %s: %s at bit %d, here %s at bit %d", w.Name, g.Members[i].Name, g.Members[i].Offset, m.Name, m.Offset)
			}
			if err := sameType(m.Type, g.Members[i].Type); err != nil {
				return fmt.Errorf("%s.%s: %w", w.Name, m.Name, err)
			}
		}
		return nil
	case *btf.Array:
		g, ok := got.(*btf.Array)
		if !ok || w.Nelems != g.Nelems {
			return errors.New("another array")
		}
		return sameType(w.Type, g.Type)
	}
	a, aerr := btf.Sizeof(want)
	b, berr := btf.Sizeof(got)
	if err := errors.Join(aerr, berr); err != nil {
		return err
	}
	if a != b {
		return fmt.Errorf("%d bytes, here %d", b, a)
	}
	return nil
}

// let makes one set act alone. First it acts beside the one that does: a task may have
// passed the one and not yet reached the other, and must find one of them acting.
func (k *Kernel) let(ctx context.Context, number uint32) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	first, second := acts(atomic.LoadUint32(&s.control.Instance))
	if first == number && second == 0 {
		return nil
	}
	if number != first && number != second {
		atomic.StoreUint32(&s.control.Instance, first|number<<uint32(bpf.JailAbiINSTANCE_SHIFT))
		step("both")
	}
	if err := k.settle(ctx); err != nil {
		return err
	}
	step("settled")
	atomic.StoreUint32(&s.control.Instance, number)
	step("flip")
	return nil
}

// become makes the Kernel that of another set, as far as the maps differ.
func (k *Kernel) become(next set) error {
	other := &Kernel{maps: make(map[string]*ebpf.Map)}
	if err := other.openMaps(next); err != nil {
		_ = other.Close()
		return err
	}
	for _, m := range k.maps {
		_ = m.Close()
	}
	k.maps, k.set = other.maps, next
	k.dropPrograms()
	return nil
}
