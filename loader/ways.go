package loader

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// otherVariant is, of two programs for one hook, the one that is not for this kernel.
func otherVariant() string {
	if readsMarks() {
		return stageWithoutMark
	}
	return stageWithMark
}

// readsMarks tells whether programs can read security.bpf.jail off a file. The names that
// begin with security.bpf. came together with the function that is looked for.
var readsMarks = sync.OnceValue(func() bool {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return false
	}
	var read, write *btf.Func
	return kernel.TypeByName("bpf_get_file_xattr", &read) == nil && kernel.TypeByName("bpf_set_dentry_xattr", &write) == nil
})

// InstallWays makes the tables of executables and control groups what w says. The paths
// switch over in one step. Files and control groups that are absent are no error: a path
// matches once something is there. After a seal new marks are put, and [ErrSealed] says what
// else would change.
func (k *Kernel) InstallWays(w Ways) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	return k.installWays(w)
}

// installWays does it under the lock.
func (k *Kernel) installWays(w Ways) error {
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
	if k.sealed != SealNone {
		return k.unchangedWays(w)
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
	if ways.Cgroups, err = k.countCgroups(); err != nil {
		return err
	}
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
	prog, err := k.kept(&k.identify, "identify")
	if err != nil {
		return err
	}
	errno, err := prog.Run(&ebpf.RunOptions{Context: bpf.JailIdentity{Fd: uint32(f.Fd()), Op: uint32(op), Entrance: e}})
	if err != nil {
		return fmt.Errorf("identify: %w", translate(err))
	}
	if unix.Errno(errno) == unix.EPERM {
		return fmt.Errorf("%s: %w", f.Name(), ErrSealed)
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
	s, err := k.share()
	if err != nil {
		return 0, err
	}
	compiled, err := k.compilePaths(list)
	if err != nil {
		return 0, err
	}
	slots, err := k.putPolicies(compiled, false)
	if err != nil {
		return 0, fmt.Errorf("table of executables: %w", err)
	}
	entries, err := k.table("executable_paths")
	for i, e := range list {
		if err == nil {
			key := bpf.JailPathKey{Policy: s.policies[slots[0]].Id, Rule: uint32(i + 1)}
			err = entries.Put(key, bpf.JailEntrance{Role: e.Role, Pod: e.Pod})
		}
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("table of executables: %w", err), k.freePolicies(slots))
	}
	return slots[0], nil
}

// compilePaths makes a policy of paths: rule 1 is the first of the list.
func (k *Kernel) compilePaths(list []PathEntrance) ([]compiled, error) {
	role := &profiles.Role{Name: "executables"}
	for _, e := range list {
		role.Files = append(role.Files, profiles.FileRule{Path: profiles.QuotePattern(e.Path), Access: profiles.Exec})
	}
	compiled, err := compileAll(k.refer(), []*profiles.Role{role}, nil)
	if err != nil {
		return nil, fmt.Errorf("table of executables: %w", err)
	}
	return compiled, nil
}

// forgetPaths frees the policy of paths that was used before, once no exec under way can
// still read it, and all entries but those of the present one.
func (k *Kernel) forgetPaths(old, now uint32) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	if old != 0 && old != now {
		if err := k.quiesce(); err != nil {
			return err
		}
		if err := k.freePolicies([]uint32{old}); err != nil {
			return err
		}
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
		if now == 0 || key.Policy != s.policies[now].Id {
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

// PutCgroup lists a control group by its path below the cgroup2 mount, until
// [Kernel.DeleteCgroup] or unload.
func (k *Kernel) PutCgroup(path string, e Entrance) error {
	return k.changeCgroups(path, func(m *ebpf.Map, key bpf.JailCgroupKey) error {
		return putEntry(m, key, bpf.JailEntrance{Role: e.Role, Pod: e.Pod, Flags: uint32(bpf.JailEntranceFlagENTRANCE_ASKED)})
	})
}

// DeleteCgroup takes that back; who is in it stays jailed. What the configuration lists
// comes back with the next [Kernel.InstallWays].
func (k *Kernel) DeleteCgroup(path string) error {
	return k.changeCgroups(path, func(m *ebpf.Map, key bpf.JailCgroupKey) error { return m.Delete(key) })
}

func (k *Kernel) changeCgroups(path string, change func(*ebpf.Map, bpf.JailCgroupKey) error) error {
	if k.sealed != SealNone {
		return fmt.Errorf("table of control groups: %w", ErrSealed)
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	key, err := cgroupKey(path)
	if err != nil {
		return err
	}
	m, err := k.table("cgroups")
	if err != nil {
		return err
	}
	if err := change(m, key); errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("control group %s: is not listed", path)
	} else if err != nil {
		return fmt.Errorf("table of control groups: %w", err)
	}
	w, err := k.ways()
	if err != nil {
		return err
	}
	if w.Cgroups, err = k.countCgroups(); err != nil {
		return err
	}
	if m, err = k.table("ways_in"); err != nil {
		return err
	}
	return m.Put(uint32(0), w)
}

func (k *Kernel) countCgroups() (uint32, error) {
	held, err := k.heldCgroups()
	return uint32(len(held)), err
}

// installCgroups makes the table of control groups that of the list, but for what was
// listed by [Kernel.PutCgroup].
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
		if err := putEntry(m, key, bpf.JailEntrance{Role: e.Role, Pod: e.Pod}); err != nil {
			return fmt.Errorf("table of control groups: %w", err)
		}
	}
	held, err := k.heldCgroups()
	if err != nil {
		return err
	}
	for key, e := range held {
		if wanted[key] || e.Flags&uint32(bpf.JailEntranceFlagENTRANCE_ASKED) != 0 {
			continue
		}
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
			if e.Flags&uint32(bpf.JailEntranceFlagENTRANCE_SKIP) == 0 {
				*n++
			}
		}
	}
	return in, nil
}

// Enroll takes a running process in: all its threads, its descendants, and the children
// born meanwhile. start is when the process began, as [StartTime] gives it, so that
// another process with the same number is not taken for it. Where it fails in the middle
// the threads that were stamped stay so.
func (k *Kernel) Enroll(ctx context.Context, pid int, start uint64, e Entrance) error {
	return k.enroll(ctx, Stamp{PID: pid, Start: start, Roles: []uint32{e.Role}, Pod: e.Pod})
}

func (k *Kernel) enroll(ctx context.Context, s Stamp) (err error) {
	if s.PID == 1 {
		return errors.New("process 1 cannot be jailed: everything would be")
	}
	unlock, err := lock() // one tree at a time
	if err != nil {
		return err
	}
	defer unlock()
	trees, err := k.table("trees")
	if err != nil {
		return err
	}
	if err := trees.Put(uint32(0), uint32(s.PID)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trees.Put(uint32(0), uint32(0))) }()
	s.ByRoot, s.Untraced, s.Tree = true, true, true
	if err = k.Stamp(ctx, s); err != nil {
		err = fmt.Errorf("process %d: %w", s.PID, err)
	}
	return err
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

// threadsOf lists the threads of a process.
func threadsOf(pid int) (tids []int) {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids
}

// EnrollRunning takes in the processes that execute a listed file or are in a listed
// control group already. What cannot be taken in is told as an error each.
func (k *Kernel) EnrollRunning(ctx context.Context, w Ways) (errs []error) {
	subjects, err := k.Subjects()
	if err != nil {
		return []error{err}
	}
	has := make(map[int][]uint32) // thread -> roles
	for _, s := range subjects {
		for _, m := range s.Roles {
			has[int(s.TID)] = append(has[int(s.TID)], m.Role)
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
			if !slices.ContainsFunc(threadsOf(pid), func(tid int) bool { return !slices.Contains(has[tid], role) }) {
				continue
			}
			err := k.enroll(ctx, Stamp{PID: pid, Start: start, Roles: []uint32{role}, Pod: wanted[role].Pod, Once: true})
			if err != nil && !errors.Is(err, Refusal(bpf.JailRefusalREFUSED_GONE)) {
				errs = append(errs, err)
			}
		}
	}
	return errs
}
