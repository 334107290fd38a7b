package loader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// Dir is where everything is pinned; root only.
const Dir = bpffs + "/jail"

const (
	mapsDir  = Dir + "/maps"
	progsDir = Dir + "/programs"
	linksDir = Dir + "/links"
)

// optionalHooks may be missing: what they guard is reported by [Status].
var optionalHooks = map[string]bool{
	"inode_set_acl": true, "inode_remove_acl": true, // 6.2
	"inode_file_setattr": true, // 6.17; file_ioctl covers the old way
	"file_ioctl_compat":  true, // stable kernels of 2024; before them 32-bit calls pass file_ioctl
}

// pinnedPrograms are not attached but run by later processes.
var pinnedPrograms = []string{"tell", "stamp_end", "identify", "mounts_count", "seal_to", "admit_role", sysctlProgram}

// sysctlProgram is attached by a seal.
const sysctlProgram = "seal_sysctl"

// onDemand tells programs that are run, or attached, later from those that a load attaches.
func onDemand(t ebpf.ProgramType) bool { return t == ebpf.Syscall || t == ebpf.CGroupSysctl }

// lastDetached lists the programs that unload detaches after all others, so that no
// exec slips in unjailed while the rest goes.
var lastDetached = []string{"enroll_stage", "enroll_stage_v2", "exec_check", "enroll_commit", "enroll_fork"}

// Kernel is the loaded kernel part: its pinned maps.
type Kernel struct {
	set      set  // that acts
	sealed   Seal // read when it was opened
	maps     map[string]*ebpf.Map
	early    bool          // it is loaded in an initramfs; see [reference]
	sharing  sync.Mutex    // of the next
	shared   *shared       // nil: not mapped yet
	identify *ebpf.Program // this and the next two: nil until they are needed
	stampEnd *ebpf.Program
	admit    *ebpf.Program
}

// Options of [Load].
type Options struct {
	// Roles are compiled and installed before enrollment opens.
	Roles []*profiles.Role
	// MaxDomains bounds how many jails may be alive at once; 0: the default, 65536.
	MaxDomains uint32
	// Ways are the ways in besides jail run.
	Ways Ways
	// Early waits for nothing: what it needs of file systems it mounts itself. Where the
	// root is another than that of process 1, the load is one in an initramfs, before the
	// root switches: paths mean what they will mean then.
	Early bool
}

// Load probes, loads, attaches and pins, all or nothing; runs the self-test; and only
// then opens enrollment. On a whole load it only looks again at which files are to be
// guarded. Where some pins are missing, because a load or an unload was interrupted or
// somebody removed them, it makes those anew beside the ones that are there, with the same
// maps: no subject is let go. [ErrForeign] where what is pinned is not jail's; nothing has
// changed then.
func Load(ctx context.Context, opts Options) (*Kernel, error) {
	if opts.Early {
		if err := mountNeeded(); err != nil {
			return nil, err
		}
	}
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := readPins()
	if err == nil {
		err = found.foreign()
	}
	if err == nil {
		err = takeOver()
	}
	if err != nil {
		return nil, err
	}
	k, err := Open()
	if err == nil && k.whole() == nil {
		if err = k.collect(everything); err == nil && k.sealed == SealNone {
			err = k.guardFiles()
		}
		if err != nil {
			_ = k.Close()
			return nil, err
		}
		return k, nil
	}
	if err != nil && !errors.Is(err, ErrNotLoaded) && !errors.Is(err, ErrNotWhole) {
		return nil, err
	}
	if err == nil && k.sealed != SealNone {
		return nil, errors.Join(fmt.Errorf("nothing can be mended: %w", ErrSealed), k.whole(), k.Close())
	}
	enforced := found.linked()
	if err == nil {
		// Where all links are gone and the maps are not, subjects are under their roles again.
		c, cerr := k.control()
		spec, serr := embedded()
		enforced = enforced || cerr == nil && serr == nil && c.Door == 1 && k.hasMaps(spec)
		_ = k.Close()
	}
	if err := probeError(Probe()); err != nil {
		return nil, err
	}
	if enforced {
		return mend(ctx, opts, found)
	}
	return afresh(ctx, opts)
}

// hasMaps tells whether all maps of that build are pinned.
func (k *Kernel) hasMaps(spec *ebpf.CollectionSpec) bool {
	for _, name := range mapNames(spec) {
		if k.maps[name] == nil {
			return false
		}
	}
	return true
}

// afresh loads after it has removed what is pinned: maps, where a load got no further. After
// an error nothing is left.
func afresh(ctx context.Context, opts Options) (*Kernel, error) {
	if err := removePins(); err != nil {
		return nil, err
	}
	k, err := load(ctx, opts)
	if err != nil {
		return nil, errors.Join(err, removePins())
	}
	return k, nil
}

// mend makes a set whole of which some programs are attached.
func mend(ctx context.Context, opts Options, found *pins) (*Kernel, error) {
	if err := found.restore(); err != nil {
		return nil, err
	}
	old, err := Open()
	if err != nil {
		return nil, err
	}
	defer old.Close()
	c, err := old.control()
	if err != nil {
		return nil, err
	}
	if err = old.whole(); err == nil { // pins were all that was missing
		return Open()
	}
	if !old.set.mine() {
		if subjects, serr := old.Subjects(); c.Door == 0 && serr == nil && len(subjects) == 0 {
			return afresh(ctx, opts)
		}
		return nil, fmt.Errorf("%s: set %s is another version's: %w: %w", Dir, old.set, ErrNotWhole, err)
	}
	spec, err := programSpec()
	if err != nil {
		return nil, err
	}
	k, coll, err := old.loadSet(old.set, spec)
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	if opts.Early {
		k.early, err = anotherRoot()
	}
	if err == nil {
		err = found.sets[old.set].sameTags(old.set, coll.Programs)
	}
	if err == nil && c.Door == 0 {
		err = k.collect(everything)
	}
	if err == nil {
		err = k.bringUp(ctx, opts, spec, coll, c.Door == 0)
	}
	if err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

// silent is set by scripts/bench when it links: denials are then counted and not told.
var silent string

// programSpec is what this kernel gets of the embedded programs.
func programSpec() (*ebpf.CollectionSpec, error) {
	whole, err := embedded()
	if err != nil {
		return nil, fmt.Errorf("embedded programs: %w", err)
	}
	spec := whole.Copy()
	hooks, err := kernelHooks()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", btfFile, err)
	}
	for name, prog := range spec.Programs {
		if prog.Type == ebpf.LSM && !hooks[prog.AttachTo] && optionalHooks[prog.AttachTo] {
			delete(spec.Programs, name)
		}
	}
	if !storageAlwaysAnswers() {
		for _, prog := range spec.Programs {
			if prog.Type == ebpf.LSM {
				prog.Flags &^= unix.BPF_F_SLEEPABLE
			}
		}
	}
	delete(spec.Programs, otherVariant())
	if err := setattrLayout(spec); err != nil {
		return nil, err
	}
	if err := setReference(spec); err != nil {
		return nil, err
	}
	if err := dropKfuncs(spec); err != nil {
		return nil, err
	}
	if silent != "" {
		if err := spec.Variables[bpf.JailVarSilent].Set(uint32(1)); err != nil {
			return nil, err
		}
	}
	return spec, nil
}

func load(ctx context.Context, opts Options) (*Kernel, error) {
	spec, err := programSpec()
	if err != nil {
		return nil, err
	}
	if opts.MaxDomains != 0 {
		spec.Maps["domains"].MaxEntries = opts.MaxDomains
	}
	k, coll, err := (&Kernel{}).loadSet(firstSet(), spec)
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	if opts.Early {
		k.early, err = anotherRoot()
	}
	if err == nil { // policy ids begin anew: what is left of an earlier load would lie
		err = os.RemoveAll(policyDir)
	}
	if err == nil {
		err = k.bringUp(ctx, opts, spec, coll, true)
	}
	if err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

// storageAlwaysAnswers tells whether task storage serves LSM programs at any time. On
// kernels before 6.2 it fails for everyone on a CPU while one program there uses it;
// programs that sleep in it (for memory) would make that last, so there none does.
var storageAlwaysAnswers = sync.OnceValue(func() bool {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return false
	}
	_, err = spec.AnyTypesByName("bpf_rcu_read_lock") // of 6.2, too; see core.h
	return err == nil
})

// bringUp takes loaded programs and maps to an open door. Where the door is open already
// the roles and the ways in stay as they are.
func (k *Kernel) bringUp(ctx context.Context, opts Options, spec *ebpf.CollectionSpec, coll *ebpf.Collection, closed bool) error {
	if closed {
		if err := k.prepare(opts, coll); err != nil {
			return err
		}
	}
	step("prepared")
	if err := k.attach(spec, coll); err != nil {
		return err
	}
	step("attached")
	if err := k.Guard(); err != nil {
		return err
	}
	if err := k.selfTest(ctx); err != nil {
		return err
	}
	step("tested")
	if err := k.refreshMounts(); err != nil {
		return err
	}
	if !closed {
		return nil
	}
	c, err := k.control()
	if err != nil {
		return err
	}
	c.Door = 1
	if err := k.setControl(c); err != nil {
		return err
	}
	step("opened")
	return k.tell(bpf.JailEventKindEVENT_LOAD, uint32(len(opts.Roles)))
}

// prepare fills the maps before the first program is attached.
func (k *Kernel) prepare(opts Options, coll *ebpf.Collection) error {
	if err := k.setControl(bpf.JailControl{Abi: uint32(bpf.JailAbiABI_VERSION), Instance: k.set.number}); err != nil {
		return err
	}
	if err := k.setUnknown(); err != nil {
		return err
	}
	if err := k.installRoles(opts.Roles); err != nil {
		return err
	}
	identify, err := coll.Programs["identify"].Clone()
	if err != nil {
		return fmt.Errorf("program identify: %w", err)
	}
	k.identify = identify
	return k.installWays(opts.Ways)
}

// setattrLayout tells the programs where inode_setattr has its dentry: 6.7 put an
// argument before it.
func setattrLayout(spec *ebpf.CollectionSpec) error {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("%s: %w", btfFile, err)
	}
	var hook *btf.Func
	if err := kernel.TypeByName("bpf_lsm_inode_setattr", &hook); err != nil {
		return fmt.Errorf("hook inode_setattr: %w", err)
	}
	proto, ok := hook.Type.(*btf.FuncProto)
	if !ok || len(proto.Params) < 2 || len(proto.Params) > 3 {
		return fmt.Errorf("hook inode_setattr: unknown arguments: %w", ErrNotSupported)
	}
	return spec.Variables["setattr_dentry"].Set(uint32(len(proto.Params) - 2))
}

// checkRenames makes sure that the programs can see renames under way: a path read
// while it changes would be judged by a name that it never had.
func checkRenames(coll *ebpf.Collection) error {
	prog := coll.DetachProgram("probe_renames")
	if prog == nil {
		return errors.New("program probe_renames is missing")
	}
	defer prog.Close()
	code, err := prog.Run(&ebpf.RunOptions{})
	if err != nil {
		return fmt.Errorf("probe_renames: %w", translate(err))
	}
	if code != 0 {
		return fmt.Errorf("the kernel's rename_lock: %w: %w", unix.Errno(code), ErrNotSupported)
	}
	return nil
}

func attachOne(prog *ebpf.Program, how ebpf.AttachType) (link.Link, error) {
	switch how {
	case ebpf.AttachTraceIter:
		return link.AttachIter(link.IterOptions{Program: prog})
	case ebpf.AttachTraceRawTp, ebpf.AttachTraceFEntry, ebpf.AttachTraceFExit:
		return link.AttachTracing(link.TracingOptions{Program: prog})
	}
	return link.AttachLSM(link.LSMOptions{Program: prog})
}

// Open opens what is pinned. [ErrNotLoaded] when nothing is, [ErrABI] when it belongs
// to another version.
func Open() (*Kernel, error) {
	k, err := open()
	if err != nil {
		return nil, err
	}
	c, err := k.control()
	if err == nil {
		err = checkABI(c.Abi)
	}
	if err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

func checkABI(pinned uint32) error {
	if pinned == uint32(bpf.JailAbiABI_VERSION) {
		return nil
	}
	return fmt.Errorf("ABI %d, this program speaks %d: %w", pinned, bpf.JailAbiABI_VERSION, ErrABI)
}

// Close gives back the descriptors. Enforcement goes on.
func (k *Kernel) Close() error {
	errs := []error{k.shared.close()}
	for name, m := range k.maps {
		errs = append(errs, m.Close())
		delete(k.maps, name)
	}
	k.dropPrograms()
	return errors.Join(errs...)
}

// table is the map of that name; missing means that the pins are not whole.
func (k *Kernel) table(name string) (*ebpf.Map, error) {
	if m := k.maps[name]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("map %s is not pinned below %s", name, mapsDir)
}

// putEntry makes the entry of a hash table, or leaves it as it is. The kernel updates by taking the
// old element out, whose memory the next update uses again at once: a program that stands on it
// may miss the entry, and find a file unguarded or a role gone.
func putEntry[K any, V comparable](m *ebpf.Map, key K, value V) error {
	var held V
	if err := m.Lookup(key, &held); err == nil && held == value {
		return nil
	}
	return m.Put(key, value)
}

// setUnknown writes the entry of tasks whose own cannot be told.
func (k *Kernel) setUnknown() error {
	m, err := k.table("unknown_subject")
	if err != nil {
		return err
	}
	s := bpf.JailSubject{Depth: 1}
	s.List[0].Role = uint32(bpf.JailAbiNO_ROLE)
	return m.Put(uint32(0), s)
}

// Unload closes the door, detaches and removes everything. It refuses with [ErrBusy]
// while subjects live unless force, and with [ErrJailed] inside a jail.
func Unload(force bool) error {
	unlock, err := lockOutside()
	if err != nil {
		return err
	}
	defer unlock()
	k, err := Open()
	if errors.Is(err, ErrABI) && force {
		return detach()
	}
	if err != nil {
		return err
	}
	defer k.Close()
	if k.sealed != SealNone {
		return ErrSealed
	}
	c, err := k.control()
	if err != nil {
		return err
	}
	c.Door = 0
	if err := k.setControl(c); err != nil {
		return err
	}
	subjects, err := k.Subjects()
	if err == nil && len(subjects) > 0 {
		err = fmt.Errorf("%w (threads: %d)", ErrBusy, len(subjects))
	}
	if err != nil && !force {
		c.Door = 1
		return errors.Join(err, k.setControl(c))
	}
	return detach()
}

// detach removes the pins and waits until the kernel calls no program of ours: it detaches them
// some time after the last link is gone, and until then a process would be told that the
// door is closed.
func detach() error {
	if err := removePins(); err != nil {
		return err
	}
	for range 1000 {
		if _, err := Depth(); errors.Is(err, ErrNotLoaded) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("nothing is pinned any more, and the programs are still called: a process holds descriptors of their links")
}

// removePins removes links, those that keep subjects in last, then maps.
func removePins() error {
	var links []string
	dirs, _ := filepath.Glob(linksDir + "/*")
	for _, d := range dirs {
		found, _ := filepath.Glob(d + "/*")
		links = append(links, found...)
	}
	slices.SortFunc(links, func(a, b string) int {
		return slices.Index(lastDetached, filepath.Base(a)) - slices.Index(lastDetached, filepath.Base(b))
	})
	for _, l := range links {
		if err := os.Remove(l); err != nil {
			return err
		}
	}
	err := os.RemoveAll(Dir)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return err
}

// lock lets one loader at a time work; on the bpf file system's root, which only
// root can open.
func lock() (func(), error) { return lockHow(unix.LOCK_EX) }

// lockOutside is lock, and [ErrJailed] inside a jail.
func lockOutside() (func(), error) {
	unlock, err := lock()
	if err == nil && Jailed() {
		unlock()
		return nil, ErrJailed
	}
	return unlock, err
}

// tryLock is lock, or an error at once while another loader works.
func tryLock() (func(), error) { return lockHow(unix.LOCK_EX | unix.LOCK_NB) }

func lockHow(how int) (func(), error) {
	fd, err := unix.Open(bpffs, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if os.Geteuid() != 0 {
			return nil, ErrNotRoot
		}
		return nil, fmt.Errorf("%s: %w; mount -t bpf bpf %s", bpffs, err, bpffs)
	}
	if err := unix.Flock(fd, how); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("lock %s: %w", bpffs, err)
	}
	return func() { _ = unix.Close(fd) }, nil
}

// translate gives the library's EPERM its real meaning and keeps the verifier's log.
func translate(err error) error {
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier):
		return fmt.Errorf("%+v", verifier)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (not root in the initial user namespace, lockdown, or an LSM refuses)", unix.EPERM)
	}
	return err
}

// missingHooks lists the mandatory hooks that the kernel lacks.
func missingHooks(hooks map[string]bool) []string {
	spec, err := embedded()
	if err != nil {
		return []string{err.Error()}
	}
	var missing []string
	for _, p := range spec.Programs {
		if p.Type == ebpf.LSM && !hooks[p.AttachTo] && !optionalHooks[p.AttachTo] {
			missing = append(missing, p.AttachTo)
		}
	}
	slices.Sort(missing)
	return missing
}
