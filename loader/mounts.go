package loader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// reference is the process, by its directory, whose root directory and mounts say what a
// path means.
type reference string

const (
	processOne reference = "/proc/1"
	// itself is this process where its root is the one that process 1 is about to have.
	itself reference = "/proc/self"
)

// root is the reference's root directory.
func (r reference) root() string { return string(r) + "/root" }

// mounts is its mount table, as a file.
func (r reference) mounts() string { return string(r) + "/mountinfo" }

// refer is the reference of this Kernel: [itself] in an early load, else process 1.
func (k *Kernel) refer() reference {
	if k.early {
		return itself
	}
	return processOne
}

// anotherRoot tells whether process 1 has another root than this process: that of an
// initramfs.
func anotherRoot() (bool, error) {
	var own, first unix.Stat_t
	if err := unix.Stat("/", &own); err != nil {
		return false, err
	}
	if err := unix.Stat(processOne.root()+"/.", &first); err != nil {
		return false, fmt.Errorf("root of process 1: %w", err)
	}
	return own.Dev != first.Dev || own.Ino != first.Ino, nil
}

// byType are the file systems that the kernel part judges by their type, wherever
// they are mounted, so their devices need no entry.
var byType = map[string]bool{
	"proc": true, "sysfs": true, "cgroup": true, "cgroup2": true, "devpts": true, "mqueue": true,
	"bpf": true, "tracefs": true, "debugfs": true, "binfmt_misc": true,
}

// mountTable is the reference mount table, in mount order.
type mountTable []*mountinfo.Info

func parseMounts(table []byte) (mountTable, error) {
	list, err := mountinfo.GetMountsFromReader(bytes.NewReader(table), nil)
	if err != nil {
		return nil, fmt.Errorf("mount table of pid 1: %w", err)
	}
	return list, nil
}

// device is a mount's s_dev as the kernel encodes it: 12 bits of major, 20 of minor.
func device(m *mountinfo.Info) uint32 {
	return uint32(m.Major)<<20 | uint32(m.Minor)
}

// winners is the one mount that stands for each file system: the one with the widest
// root inside it, then the first.
func (t mountTable) winners() map[uint32]*mountinfo.Info {
	won := make(map[uint32]*mountinfo.Info)
	for _, m := range t {
		if held := won[device(m)]; held == nil || len(m.Root) < len(held.Root) {
			won[device(m)] = m
		}
	}
	return won
}

func (t mountTable) environment() profiles.Env {
	env := profiles.Env{
		Magic: profiles.DefaultMagic(), CharDevices: profiles.DefaultCharDevices(),
	}
	for _, m := range t {
		if !byType[m.FSType] {
			env.Mounts = append(env.Mounts, profiles.Mount{Device: device(m), Root: m.Root, Point: m.Mountpoint})
		}
	}
	return env
}

// resolve gives the canonical path of a path below a root directory: symlinks followed, and
// a bind mount led back to the tree behind it. What does not exist yet stays as it is.
func (t mountTable) resolve(root, name string) (string, error) {
	real, err := followLinks(root, name)
	if err != nil {
		return "", err
	}
	return t.lead(real), nil
}

// lead leads a path that is on a bind mount back to the tree behind it.
func (t mountTable) lead(real string) string {
	m := t.covering(real)
	if m == nil {
		return real
	}
	inside := path.Join(m.Root, strings.TrimPrefix(real, strings.TrimSuffix(m.Mountpoint, "/")))
	winner := t.standsFor(m)
	return path.Join(winner.Mountpoint, strings.TrimPrefix(inside, strings.TrimSuffix(winner.Root, "/")))
}

// standsFor is the mount whose root encloses another's root on the same file system: the
// widest, then the first. Mounts with separate roots (subvolumes) stand for themselves.
func (t mountTable) standsFor(m *mountinfo.Info) *mountinfo.Info {
	best := m
	for i := len(t) - 1; i >= 0; i-- {
		o := t[i]
		if device(o) == device(m) && below(m.Root, o.Root) && len(o.Root) <= len(best.Root) {
			best = o
		}
	}
	return best
}

// covering is the mount that a path is on: the deepest, the latest where several are
// mounted on one another.
func (t mountTable) covering(name string) *mountinfo.Info {
	var found *mountinfo.Info
	for _, m := range t {
		if below(name, m.Mountpoint) && (found == nil || len(m.Mountpoint) >= len(found.Mountpoint)) {
			found = m
		}
	}
	return found
}

// below tells whether name is dir or beneath it; both are absolute and clean.
func below(name, dir string) bool {
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}

// followLinks resolves the symlinks of an absolute path within root, as chroot would.
func followLinks(root, name string) (string, error) {
	done, todo := "/", strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		target, err := os.Readlink(path.Join(root, next))
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			done = next
			continue
		case err != nil:
			return "", err
		}
		if links++; links > 40 {
			return "", fmt.Errorf("%s: %w", name, unix.ELOOP)
		}
		if path.IsAbs(target) {
			done = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, nil
}

// RefreshMounts gives every loaded policy the start states of file systems that were
// mounted, moved or unmounted since the last time; where the mount table is unchanged it
// does nothing. Of a file system that is mounted in part only (a btrfs subvolume), a
// policy learns when its role is loaded again: until then its files are denied.
func (k *Kernel) RefreshMounts() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	return k.refreshMounts()
}

// refreshMounts does it under the lock.
func (k *Kernel) refreshMounts() error {
	if k.sealed != SealNone {
		return nil // file systems that come are in no policy
	}
	s, err := k.share()
	if err != nil {
		return err
	}
	// Counted before the table is read: what is mounted from here on, the next time sees.
	now, err := k.countMounts()
	if err != nil || atomic.LoadUint64(&s.control.Mounts) == now {
		return err
	}
	raw, err := os.ReadFile(k.refer().mounts())
	if err != nil {
		return fmt.Errorf("mount table of pid 1: %w", err)
	}
	table, err := parseMounts(raw)
	if err != nil {
		return err
	}
	if err := k.refreshStarts(table); err != nil {
		return fmt.Errorf("start states of file systems: %w", translate(err))
	}
	atomic.StoreUint64(&s.control.Mounts, now)
	return nil
}

// FollowMounts calls refresh now, and each time that process 1's mount table has changed, until
// the context ends. What refresh returns goes to failed; the next change tries again.
func FollowMounts(ctx context.Context, refresh func() error, failed func(error)) error {
	// Not an os.File: the runtime's poller would watch it, too, and the kernel tells of a
	// change once per open file.
	table, err := unix.Open(processOne.mounts(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("mount table of pid 1: %w", err)
	}
	defer unix.Close(table)
	ended, end, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("mount table of pid 1: %w", err)
	}
	defer ended.Close()
	defer end.Close()
	defer context.AfterFunc(ctx, func() { _, _ = end.Write([]byte{0}) })()
	for {
		if err := refresh(); err != nil {
			failed(err)
		}
		fds := []unix.PollFd{
			{Fd: int32(table), Events: unix.POLLPRI},
			{Fd: int32(ended.Fd()), Events: unix.POLLIN},
		}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("mount table of pid 1: %w", err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// countMounts is the kernel's count of the changes of process 1's mount table.
func (k *Kernel) countMounts() (uint64, error) {
	prog, err := k.program("mounts_count")
	if err != nil {
		return 0, err
	}
	defer prog.Close()
	var count uint64
	code, err := prog.Run(&ebpf.RunOptions{Context: count, ContextOut: &count})
	if err != nil {
		return 0, fmt.Errorf("mounts_count: %w", translate(err))
	}
	if code != 0 {
		return 0, fmt.Errorf("mounts_count: %w", unix.Errno(code))
	}
	return count, nil
}

// refreshStarts makes the start states of whole file systems anew, and removes those of
// devices that are mounted no more, since their numbers come again, and of policies that
// are gone, which knew only of those that they were made with.
func (k *Kernel) refreshStarts(table mountTable) error {
	starts, err := k.table("starts")
	if err != nil {
		return err
	}
	mounted := make(map[uint32]bool)
	var whole []*mountinfo.Info
	for dev, m := range table.winners() {
		mounted[dev] = true
		if m.Root == "/" && !byType[m.FSType] {
			whole = append(whole, m)
		}
	}
	list, live, err := k.matchers()
	if err != nil {
		return err
	}
	var (
		gone  []bpf.JailStartKey
		held  = make(map[bpf.JailStartKey]uint32)
		key   bpf.JailStartKey
		state uint32
	)
	it := starts.Iterate()
	for it.Next(&key, &state) {
		kind := profiles.StartKind(key.Kind) &^ profiles.StartUnix
		if !live[key.PolicyId] || kind == profiles.StartDevice && !mounted[key.Value] {
			gone = append(gone, key)
		} else {
			held[key] = state
		}
	}
	if err := it.Err(); err != nil {
		return err
	}
	fresh := make(map[uint64][]profiles.Start) // by policy
	for _, m := range list {
		for _, mount := range whole {
			s := profiles.Start{
				Kind: m.kind, Value: device(mount), State: m.policy.Walk(profiles.RootState, mount.Mountpoint),
			}
			// What stays is not written again: see putEntry.
			if state, ok := held[startKey(m.id, s)]; !ok || state != s.State {
				fresh[m.id] = append(fresh[m.id], s)
			}
		}
	}
	s, err := k.share()
	if err != nil {
		return err
	}
	if len(gone)+len(fresh) == 0 && atomic.LoadUint64(&s.control.Generation)&1 == 0 {
		return nil
	}
	return k.changeStarts(func() error {
		if err := deleteKeys(starts, gone); err != nil {
			return err
		}
		for id, list := range fresh {
			if err := k.putStarts(id, list); err != nil {
				return err
			}
		}
		return nil
	})
}

// changeStarts changes start states of policies that roles point at. What programs know of
// directories ends with it: while the count is odd they keep nothing and go by nothing kept. A
// change that was interrupted leaves it so until the next one has ended.
func (k *Kernel) changeStarts(change func() error) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	count := atomic.LoadUint64(&s.control.Generation) | 1
	atomic.StoreUint64(&s.control.Generation, count)
	if err := change(); err != nil {
		return err
	}
	atomic.StoreUint64(&s.control.Generation, count+1)
	return nil
}

// matcher is one automaton over paths of a loaded policy.
type matcher struct {
	id     uint64
	kind   profiles.StartKind
	policy profiles.Policy // its tables, and the automaton as that for files
}

// matchers reads the automata over paths of all policies, and which policies there are.
func (k *Kernel) matchers() (list []matcher, live map[uint64]bool, err error) {
	s, err := k.share()
	if err != nil {
		return nil, nil, err
	}
	live = make(map[uint64]bool)
	for slot, held := range s.policies {
		if held.Id == 0 {
			continue
		}
		live[held.Id] = true
		tables, err := k.readTables(uint32(slot), 0, held.StartsAt)
		if err != nil {
			return nil, nil, err
		}
		if held.FileStates != 0 {
			list = append(list, matcher{held.Id, profiles.StartDevice, profiles.Policy{
				Tables: tables, FileStates: held.FileStates, FileClasses: held.FileClasses,
				FileClassAt: held.FileClassAt, FileNextAt: held.FileNextAt,
			}})
		}
		if held.UnixStates != 0 {
			list = append(list, matcher{held.Id, profiles.StartDevice + profiles.StartUnix, profiles.Policy{
				Tables: tables, FileStates: held.UnixStates, FileClasses: held.UnixClasses,
				FileClassAt: held.UnixClassAt, FileNextAt: held.UnixNextAt,
			}})
		}
	}
	return list, live, nil
}
