package loader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// referenceRoot is the root directory of the reference mount namespace.
const referenceRoot = "/proc/1/root"

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
		Resolve: t.resolve,
	}
	for _, m := range t {
		if !byType[m.FSType] {
			env.Mounts = append(env.Mounts, profiles.Mount{Device: device(m), Root: m.Root, Point: m.Mountpoint})
		}
	}
	return env
}

// resolve gives the canonical path of a path as PID 1 sees it: symlinks followed, and
// a bind mount led back to the tree behind it. What does not exist yet stays as it is.
func (t mountTable) resolve(name string) (string, error) {
	real, err := followLinks(referenceRoot, name)
	if err != nil {
		return "", err
	}
	m := t.covering(real)
	if m == nil {
		return real, nil
	}
	inside := path.Join(m.Root, strings.TrimPrefix(real, strings.TrimSuffix(m.Mountpoint, "/")))
	winner := t.standsFor(m)
	return path.Join(winner.Mountpoint, strings.TrimPrefix(inside, strings.TrimSuffix(winner.Root, "/"))), nil
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

// mountTablePath is the reference mount table.
const mountTablePath = "/proc/1/mountinfo"

func digest(table []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(table)
	return h.Sum64()
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
	raw, err := os.ReadFile(mountTablePath)
	if err != nil {
		return fmt.Errorf("mount table of pid 1: %w", err)
	}
	c, err := k.control()
	if err != nil || c.Mounts == digest(raw) {
		return err
	}
	table, err := parseMounts(raw)
	if err != nil {
		return err
	}
	if err := k.refreshStarts(table); err != nil {
		return fmt.Errorf("start states of file systems: %w", err)
	}
	if c, err = k.control(); err != nil {
		return err
	}
	c.Mounts = digest(raw)
	return k.setControl(c)
}

// FollowMounts refreshes at each change of the mount table until the context ends.
func (k *Kernel) FollowMounts(ctx context.Context) error {
	fd, err := unix.Open(mountTablePath, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("mount table of pid 1: %w", err)
	}
	defer unix.Close(fd)
	for ctx.Err() == nil {
		if err := k.RefreshMounts(); err != nil {
			return err
		}
		const wait = 500 // ms, to notice that the context has ended
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}, wait)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("mount table of pid 1: %w", err)
		}
	}
	return ctx.Err()
}

// refreshStarts makes the start states of whole file systems anew, and removes those of
// devices that are mounted no more: their numbers come again.
func (k *Kernel) refreshStarts(table mountTable) error {
	starts, err := k.table("starts")
	if err != nil {
		return err
	}
	points := make(map[uint32]string) // of whole file systems
	mounted := make(map[uint32]bool)
	for dev, m := range table.winners() {
		mounted[dev] = true
		if m.Root == "/" && !byType[m.FSType] {
			points[dev] = m.Mountpoint
		}
	}
	policies, err := k.fileMatchers()
	if err != nil {
		return err
	}
	var (
		gone  []bpf.JailStartKey
		key   bpf.JailStartKey
		state uint32
	)
	for it := starts.Iterate(); it.Next(&key, &state); {
		if key.Kind == uint32(bpf.JailStartKindSTART_DEVICE) && !mounted[key.Value] {
			gone = append(gone, key)
		}
	}
	for _, key := range gone {
		if err := starts.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	for id, p := range policies {
		for dev, point := range points {
			key := bpf.JailStartKey{PolicyId: id, Kind: uint32(bpf.JailStartKindSTART_DEVICE), Value: dev}
			if err := starts.Put(key, p.Walk(p.Root, point)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fileMatchers reads the automata of all loaded policies back, by policy id.
func (k *Kernel) fileMatchers() (map[uint64]*profiles.Policy, error) {
	policies, err := k.table("policies")
	if err != nil {
		return nil, err
	}
	tables, err := k.table("tables")
	if err != nil {
		return nil, err
	}
	found := make(map[uint64]*profiles.Policy)
	for slot := uint32(1); slot < policies.MaxEntries(); slot++ {
		var held bpf.JailPolicy
		if err := policies.Lookup(slot, &held); err != nil {
			return nil, err
		}
		if held.Id == 0 || held.FileStates == 0 {
			continue
		}
		p := &profiles.Policy{
			FileStates: held.FileStates, FileClasses: held.FileClasses,
			FileClassAt: held.FileClassAt, FileNextAt: held.FileNextAt, FileAcceptAt: held.FileAcceptAt,
			Root: profiles.RootState,
		}
		if p.Tables, err = readTables(tables, slot); err != nil {
			return nil, err
		}
		found[held.Id] = p
	}
	return found, nil
}

// readTables reads the pages of a policy's tables.
func readTables(tables *ebpf.Map, slot uint32) ([]byte, error) {
	var id ebpf.MapID
	if err := tables.Lookup(slot, &id); err != nil {
		return nil, err
	}
	inner, err := ebpf.NewMapFromID(id)
	if err != nil {
		return nil, translate(err)
	}
	defer inner.Close()
	var data []byte
	for i := range inner.MaxEntries() {
		page := make([]byte, bpf.JailAbiPAGE_BYTES)
		if err := inner.Lookup(i, &page); err != nil {
			return nil, err
		}
		data = append(data, page...)
	}
	return data, nil
}
