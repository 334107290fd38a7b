package loader

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// Entrance is what an executable or a control group leads into.
type Entrance struct {
	Role uint32
	Pod  uint64 // 0: each enrollment makes one up
}

// PathEntrance is the entrance of an executable or a control group by its path.
type PathEntrance struct {
	Path string
	Entrance
}

// Ways are the ways into a jail besides jail run and a file's own mark.
type Ways struct {
	// Marked are the files of marks: each counts by its inode, under whatever name, and
	// by its path, also once another file is there.
	Marked []PathEntrance
	// Execs are executables by path, which need not exist. A directory stands for all
	// that is beneath it.
	Execs []PathEntrance
	// Cgroups are control groups by their path below the cgroup2 mount.
	Cgroups []PathEntrance
}

// WaysIn is what [Status] tells of them.
type WaysIn struct {
	Xattr       bool `json:"xattr"`       // this kernel reads marks off the files
	Executables int  `json:"executables"` // files in the table, by inode
	Paths       int  `json:"paths"`       // executables in the table, by path
	Cgroups     int  `json:"cgroups"`
}

// executors are passed over in a listed control group: what they execute next is judged.
var executors = []string{"/usr/lib/systemd/systemd-executor", "/usr/lib/systemd/systemd", "/lib/systemd/systemd-executor", "/lib/systemd/systemd"}

// MaxCgroupPath is the longest path of a control group that can be listed.
const MaxCgroupPath = len(bpf.JailCgroupKey{}.Path) - 1

// variants are programs for one hook, of which the kernel decides which is loaded.
const (
	stageWithMark    = "enroll_stage_v2" // 6.15 and later
	stageWithoutMark = "enroll_stage"
)

// chooseVariants leaves, of two programs for one hook, the one that this kernel can run.
func chooseVariants(spec *ebpf.CollectionSpec) {
	if readsMarks() {
		delete(spec.Programs, stageWithoutMark)
	} else {
		delete(spec.Programs, stageWithMark)
	}
}

// readsMarks tells whether programs can read security.bpf.jail off a file. The names that
// begin with security.bpf. came together with the function that is looked for.
func readsMarks() bool {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return false
	}
	var read, write *btf.Func
	return kernel.TypeByName("bpf_get_file_xattr", &read) == nil && kernel.TypeByName("bpf_set_dentry_xattr", &write) == nil
}

// InstallWays makes the tables of executables and control groups what w says. The paths
// switch over in one step. Files and control groups that are absent are no error: a path
// matches once something is there.
func (k *Kernel) InstallWays(w Ways) error {
	for _, m := range w.Marked {
		if err := k.putMarked(m); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for _, file := range executors {
		err := k.putFile(file, bpf.JailEntrance{Flags: uint32(bpf.JailEntranceFlagENTRANCE_SKIP)})
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return err
		}
	}
	held, err := k.ways()
	if err != nil {
		return err
	}
	ways := bpf.JailWays{}
	if readsMarks() {
		ways.Xattr = 1
	}
	if ways.Paths, err = k.installPaths(append(slices.Clone(w.Marked), w.Execs...)); err != nil {
		return err
	}
	if err := k.installCgroups(w.Cgroups); err != nil {
		return err
	}
	ways.Cgroups = uint32(len(w.Cgroups))
	m, err := k.table("ways_in")
	if err != nil {
		return err
	}
	if err := m.Put(uint32(0), ways); err != nil {
		return err
	}
	return k.forgetPaths(held.Paths, ways.Paths)
}

func (k *Kernel) ways() (w bpf.JailWays, err error) {
	m, err := k.table("ways_in")
	if err != nil {
		return w, err
	}
	return w, m.Lookup(uint32(0), &w)
}

// putMarked puts a marked file, if it is there, under its inode.
func (k *Kernel) putMarked(m PathEntrance) error {
	return k.putFile(m.Path, bpf.JailEntrance{Role: m.Role, Pod: m.Pod})
}

func (k *Kernel) putFile(path string, e bpf.JailEntrance) error {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return k.askIdentity(f, bpf.JailIdentifyOpIDENTIFY_PUT, e)
}

// PutExecutable makes every exec of the open file enter the role, under whatever name.
func (k *Kernel) PutExecutable(f *os.File, e Entrance) error {
	return k.askIdentity(f, bpf.JailIdentifyOpIDENTIFY_PUT, bpf.JailEntrance{Role: e.Role, Pod: e.Pod})
}

// DeleteExecutable takes that back.
func (k *Kernel) DeleteExecutable(f *os.File) error {
	return k.askIdentity(f, bpf.JailIdentifyOpIDENTIFY_DELETE, bpf.JailEntrance{})
}

// HasExecutable tells whether the open file is in the table with that entrance.
func (k *Kernel) HasExecutable(f *os.File, e Entrance) (bool, error) {
	err := k.askIdentity(f, bpf.JailIdentifyOpIDENTIFY_ROLE, bpf.JailEntrance{Role: e.Role, Pod: e.Pod})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// askIdentity has the kernel part look at a file that this process has open: what stat
// says of a file is on some filesystems not what the kernel goes by.
func (k *Kernel) askIdentity(f *os.File, op bpf.JailIdentifyOp, e bpf.JailEntrance) error {
	if k.identify == nil {
		prog, err := ebpf.LoadPinnedProgram(filepath.Join(progsDir, "identify"), nil)
		if err != nil {
			return fmt.Errorf("pinned program identify: %w", translate(err))
		}
		k.identify = prog
	}
	errno, err := k.identify.Run(&ebpf.RunOptions{Context: bpf.JailIdentity{Fd: uint32(f.Fd()), Op: uint32(op), Entrance: e}})
	if err != nil {
		return fmt.Errorf("identify: %w", translate(err))
	}
	if errno != 0 {
		return fmt.Errorf("%s: %w", f.Name(), unix.Errno(errno))
	}
	return nil
}

// installPaths compiles the paths into a policy of their own and gives its slot; 0: none.
func (k *Kernel) installPaths(list []PathEntrance) (uint32, error) {
	if len(list) == 0 {
		return 0, nil
	}
	role := &profiles.Role{Name: "executables"}
	for _, e := range list {
		role.Files = append(role.Files, profiles.FileRule{Path: profiles.QuotePattern(e.Path), Access: profiles.Exec})
	}
	env, err := environment()
	if err != nil {
		return 0, err
	}
	policy, err := role.Compile(env)
	if err != nil {
		return 0, fmt.Errorf("table of executables: %w", err)
	}
	slot, id, err := k.putPolicy(role, policy)
	if err != nil {
		return 0, err
	}
	entries, err := k.table("executable_paths")
	if err != nil {
		return 0, err
	}
	for i, e := range list {
		key := bpf.JailPathKey{Policy: id, Rule: uint32(i + 1)}
		if err := entries.Put(key, bpf.JailEntrance{Role: e.Role, Pod: e.Pod}); err != nil {
			return 0, fmt.Errorf("table of executables: %w", err)
		}
	}
	return slot, nil
}

// forgetPaths frees what policies of paths held, but for the present one and the one
// before it, which an exec under way may still read.
func (k *Kernel) forgetPaths(slots ...uint32) error {
	policies, err := k.table("policies")
	if err != nil {
		return err
	}
	kept := make(map[uint64]bool)
	for _, slot := range slots {
		var p bpf.JailPolicy
		if err := policies.Lookup(slot, &p); err != nil {
			return err
		}
		kept[p.Id] = true
	}
	entries, err := k.table("executable_paths")
	if err != nil {
		return err
	}
	var (
		key   bpf.JailPathKey
		e     bpf.JailEntrance
		stale []bpf.JailPathKey
	)
	for it := entries.Iterate(); it.Next(&key, &e); {
		if !kept[key.Policy] {
			stale = append(stale, key)
		}
	}
	for _, key := range stale {
		if err := entries.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// installCgroups makes the table of control groups that of the list.
func (k *Kernel) installCgroups(list []PathEntrance) error {
	m, err := k.table("cgroups")
	if err != nil {
		return err
	}
	wanted := make(map[bpf.JailCgroupKey]bool)
	for _, e := range list {
		key, err := cgroupKey(e.Path)
		if err != nil {
			return err
		}
		wanted[key] = true
		if err := m.Put(key, bpf.JailEntrance{Role: e.Role, Pod: e.Pod}); err != nil {
			return fmt.Errorf("table of control groups: %w", err)
		}
	}
	var (
		key   bpf.JailCgroupKey
		e     bpf.JailEntrance
		stale []bpf.JailCgroupKey
	)
	for it := m.Iterate(); it.Next(&key, &e); {
		if !wanted[key] {
			stale = append(stale, key)
		}
	}
	for _, key := range stale {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

func cgroupKey(path string) (key bpf.JailCgroupKey, err error) {
	own, err := ownCgroup(1)
	switch {
	case err != nil:
		return key, err
	case len(path) > MaxCgroupPath:
		return key, fmt.Errorf("control group %s: longer than %d bytes", path, MaxCgroupPath)
	case path == "/" || path == "/init.scope" || path == own || strings.HasPrefix(own, path+"/"):
		return key, fmt.Errorf("control group %s: process 1 is in it or could not start anything", path)
	}
	copy(key.Path[:], path)
	return key, nil
}

// ownCgroup is the control group of a process, as a path below the cgroup2 mount.
func ownCgroup(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return path, nil
		}
	}
	return "", nil
}

func (k *Kernel) waysIn() (WaysIn, error) {
	w, err := k.ways()
	if err != nil {
		return WaysIn{}, err
	}
	in := WaysIn{Xattr: w.Xattr == 1, Cgroups: int(w.Cgroups)}
	for name, n := range map[string]*int{"executables": &in.Executables, "executable_paths": &in.Paths} {
		m, err := k.table(name)
		if err != nil {
			return in, err
		}
		var (
			key []byte
			e   bpf.JailEntrance
		)
		for it := m.Iterate(); it.Next(&key, &e); {
			if e.Flags == 0 {
				*n++
			}
		}
	}
	return in, nil
}

// Enroll takes a running process in: all its threads, its descendants, and the children
// born meanwhile. start is when the process began, as [StartTime] gives it, so that
// another process with the same number is not taken for it. It returns how many threads
// were stamped. Where it fails in the middle the threads that were stamped stay so.
func (k *Kernel) Enroll(pid int, start uint64, e Entrance) (stamped int, err error) {
	if pid == 1 {
		return 0, errors.New("process 1 cannot be jailed: everything would be")
	}
	unlock, err := lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	m, err := k.table("taking_in")
	if err != nil {
		return 0, err
	}
	k1 := bpf.JailTaking{Ticks: start, Pod: e.Pod, Tgid: uint32(pid), Role: e.Role}
	if err := m.Put(uint32(0), k1); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, m.Put(uint32(0), bpf.JailTaking{})) }()
	// Look twice: the first pass learns the target's memory, the second who shares it.
	var states map[bpf.JailTakenState]int
	for range 2 {
		if states, err = k.takingPass(); err != nil {
			return 0, err
		}
	}
	for _, bad := range []bpf.JailTakenState{bpf.JailTakenStateTAKEN_KERNEL, bpf.JailTakenStateTAKEN_TRACED, bpf.JailTakenStateTAKEN_SHARED} {
		if states[bad] > 0 {
			return 0, fmt.Errorf("process %d: %s", pid, takenText[bad])
		}
	}
	if states[bpf.JailTakenStateTAKEN_FREE] == 0 {
		return 0, fmt.Errorf("process %d: %w", pid, unix.ESRCH)
	}
	if err := m.Lookup(uint32(0), &k1); err != nil {
		return 0, err
	}
	k1.Stamp = 1
	if err := m.Put(uint32(0), k1); err != nil {
		return 0, err
	}
	// A child whose parent was stamped before the fork tracepoint is stamped by that; one
	// whose parent was stamped after it is seen by the next pass. So the pass that finds
	// nothing to do is the last.
	for range maxPasses {
		if states, err = k.takingPass(); err != nil {
			return stamped, err
		}
		stamped += states[bpf.JailTakenStateTAKEN_STAMPED]
		for _, bad := range []bpf.JailTakenState{bpf.JailTakenStateTAKEN_FULL, bpf.JailTakenStateTAKEN_MEMORY, bpf.JailTakenStateTAKEN_REFUSED} {
			if states[bad] > 0 {
				return stamped, fmt.Errorf("process %d: %s", pid, takenText[bad])
			}
		}
		if states[bpf.JailTakenStateTAKEN_STAMPED]+states[bpf.JailTakenStateTAKEN_BUSY] == 0 {
			if stamped == 0 && states[bpf.JailTakenStateTAKEN_HELD] == 0 {
				return 0, fmt.Errorf("process %d: %w", pid, unix.ESRCH)
			}
			return stamped, nil
		}
	}
	return stamped, fmt.Errorf("process %d: it starts threads or programs faster than they can be enrolled", pid)
}

// maxPasses bounds how often all tasks are gone through for one process.
const maxPasses = 1000

var takenText = map[bpf.JailTakenState]string{
	bpf.JailTakenStateTAKEN_KERNEL:  "is a kernel thread",
	bpf.JailTakenStateTAKEN_TRACED:  "is traced or traces: its tracer would act for it",
	bpf.JailTakenStateTAKEN_SHARED:  "shares its memory with a process that would stay outside",
	bpf.JailTakenStateTAKEN_FULL:    "at most 8 roles stack on one process",
	bpf.JailTakenStateTAKEN_MEMORY:  "out of kernel memory",
	bpf.JailTakenStateTAKEN_REFUSED: "the role is not loaded, or the table of jails is full",
}

// takingPass goes through all tasks once and counts what became of them.
func (k *Kernel) takingPass() (map[bpf.JailTakenState]int, error) {
	data, err := readIterator("enroll_iter")
	if err != nil {
		return nil, err
	}
	states := make(map[bpf.JailTakenState]int)
	const size = 16 // of struct taken; state is its third word
	for ; len(data) >= size; data = data[size:] {
		states[bpf.JailTakenState(uint32(data[8])|uint32(data[9])<<8)]++
	}
	return states, nil
}

// StartTime is when a process began, in hundredths of a second after boot.
func StartTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name is in parentheses and may hold anything: fields count from the last one.
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const starttime = 22 - 3
	var ticks uint64
	if len(fields) <= starttime {
		return 0, fmt.Errorf("/proc/%d/stat: too short", pid)
	}
	_, err = fmt.Sscan(fields[starttime], &ticks)
	return ticks, err
}

// EnrollRunning takes in the processes that execute a listed file or are in a listed
// control group already. What cannot be taken in is told as an error each.
func (k *Kernel) EnrollRunning(w Ways) (enrolled int, errs []error) {
	subjects, err := k.Subjects()
	if err != nil {
		return 0, []error{err}
	}
	has := make(map[uint32]map[uint32]bool) // pid -> roles
	for _, s := range subjects {
		if has[s.PID] == nil {
			has[s.PID] = make(map[uint32]bool)
		}
		for _, m := range s.Roles {
			has[s.PID][m.Role] = true
		}
	}
	skip := make(map[string]bool)
	for _, file := range executors {
		skip[file] = true
	}
	execs := make(map[string]Entrance)
	for _, e := range append(slices.Clone(w.Marked), w.Execs...) {
		name := e.Path
		if real, err := filepath.EvalSymlinks(name); err == nil {
			name = real
		}
		execs[name] = e.Entrance
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		var pid int
		if _, err := fmt.Sscan(filepath.Base(dir), &pid); err != nil || pid == 1 {
			continue
		}
		start, err := StartTime(pid)
		if err != nil {
			continue // it ended
		}
		exe, err := os.Readlink(dir + "/exe")
		if err != nil || skip[exe] {
			continue // a kernel thread, or it ended
		}
		exe = strings.TrimSuffix(exe, " (deleted)")
		wanted := make(map[uint32]Entrance)
		if e, ok := execs[exe]; ok {
			wanted[e.Role] = e
		}
		group, err := ownCgroup(pid)
		if err != nil {
			continue
		}
		for _, c := range w.Cgroups {
			if below(group, c.Path) {
				wanted[c.Role] = c.Entrance
			}
		}
		for _, role := range slices.Sorted(maps.Keys(wanted)) {
			if has[uint32(pid)][role] {
				continue
			}
			n, err := k.Enroll(pid, start, wanted[role])
			if err != nil && !errors.Is(err, unix.ESRCH) {
				errs = append(errs, err)
			}
			enrolled += n
		}
	}
	return enrolled, errs
}
