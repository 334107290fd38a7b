package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"jail/bpf"
)

// guardedDirs are made at load where they are missing, so that no subject can make them.
var guardedDirs = []string{"/etc/jail/roles.d", "/run/jail", "/run/bpfjailer"}

// guardedPaths are what the jail rests on besides the binary that loads: files, and directories
// with all beneath them. The patterns are those of filepath.Glob.
var guardedPaths = []string{
	"/usr/bin/jail", "/usr/local/bin/jail", // which another copy of it may have loaded
	Dir, "/etc/jail", "/run/jail", "/run/bpfjailer",
	"/usr/lib/systemd/system/jail-*", "/lib/systemd/system/jail-*",
	"/etc/systemd/system/jail-*", "/run/systemd/system/jail-*",
}

// Guard tells the programs what the jail rests on: files by their inodes, BPF objects by
// their ids. Load and reload call it: a file that was replaced has a new inode.
func (k *Kernel) Guard() error {
	if err := k.guardFiles(); err != nil {
		return err
	}
	if err := k.guardObjects(); err != nil {
		return fmt.Errorf("guard BPF objects: %w", err)
	}
	return nil
}

func (k *Kernel) guardFiles() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("guard files: %w", err)
		}
	}()
	table, err := k.table("guarded")
	if err != nil {
		return err
	}
	for _, dir := range guardedDirs {
		// Where the root is read-only nobody can make it either.
		if err := os.MkdirAll(dir, 0o755); err != nil && !errors.Is(err, unix.EROFS) {
			return err
		}
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	flags := make(map[uint32]uint32) // by descriptor
	defer func() {
		for fd := range flags {
			_ = unix.Close(int(fd))
		}
	}()
	open := func(path string, flag uint32) error {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		flags[uint32(fd)] |= flag
		return nil
	}
	// cover is what a mount covers: elsewhere it may be seen, and another mount be there.
	cover := func(path string, flag uint32) error {
		fd, err := openCovered(path)
		if err != nil || fd < 0 {
			return err
		}
		flags[uint32(fd)] |= flag
		return nil
	}
	paths := []string{exe}
	for _, pattern := range guardedPaths {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		paths = append(paths, found...)
	}
	above := make(map[string]uint32) // by directory: most are above several
	for _, path := range paths {
		itself, over := uint32(bpf.JailGuardFlagGUARD_TREE), uint32(bpf.JailGuardFlagGUARD_ABOVE)
		switch path {
		case exe:
			itself |= uint32(bpf.JailGuardFlagGUARD_BINARY)
		case Dir:
			itself |= uint32(bpf.JailGuardFlagGUARD_PINS)
			over |= uint32(bpf.JailGuardFlagGUARD_PINS_ABOVE)
		}
		if err := open(path, itself); err != nil {
			return err
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if err := cover(path, over); err != nil {
			return err
		}
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
			above[dir] |= over
			if dir == "/" {
				break
			}
		}
	}
	for dir, flag := range above {
		if err := open(dir, flag); err != nil {
			return err
		}
		if err := cover(dir, flag); err != nil {
			return err
		}
	}
	ids, err := k.pathIdentities()
	if err != nil {
		return err
	}
	wanted := make(map[bpf.JailGuardKey]uint32)
	seen := make(map[uint32]bool)
	for _, id := range ids {
		if flag, ours := flags[id.Fd]; ours {
			wanted[id.Key] |= flag
			seen[id.Fd] = true
		}
	}
	if len(seen) != len(flags) {
		return fmt.Errorf("the kernel listed %d of %d descriptors", len(seen), len(flags))
	}
	for key, flag := range wanted {
		if err := putEntry(table, key, flag); err != nil {
			return err
		}
	}
	// What is no longer wanted goes last: nothing is unguarded in between.
	var stale []bpf.JailGuardKey
	var key bpf.JailGuardKey
	var flag uint32
	for it := table.Iterate(); it.Next(&key, &flag); {
		if _, ok := wanted[key]; !ok {
			stale = append(stale, key)
		}
	}
	for _, key := range stale {
		if err := table.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// openCovered opens the directory that a mount at path hides; -1: nothing is mounted there.
func openCovered(path string) (int, error) {
	var s unix.Statx_t
	if path == "/" {
		return -1, nil
	}
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &s)
	if errors.Is(err, unix.ENOENT) || (err == nil && s.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	// A copy of the parent's mount alone has nothing mounted on it.
	parent, err := unix.OpenTree(unix.AT_FDCWD, filepath.Dir(path), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if errors.Is(err, unix.EINVAL) {
		return -1, nil // unbindable: nobody has a copy
	}
	if err != nil {
		return -1, fmt.Errorf("mount of %s: %w", filepath.Dir(path), err)
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, filepath.Base(path), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("what %s covers: %w", path, err)
	}
	return fd, nil
}

// pathIdentities tells who this process's path descriptors are, as the kernel knows them.
func (k *Kernel) pathIdentities() ([]bpf.JailPathIdentity, error) {
	return readRecords[bpf.JailPathIdentity](k, "paths_iter")
}

// guardObjects lists the ids of our maps, programs and links.
func (k *Kernel) guardObjects() error {
	table, err := k.table("guarded_objects")
	if err != nil {
		return err
	}
	putFor := func(use bpf.JailGuardUse, kind bpf.JailGuardObject, id uint32) error {
		return putEntry(table, uint64(kind)<<32|uint64(id), uint32(use))
	}
	put := func(kind bpf.JailGuardObject, id uint32) error {
		return putFor(bpf.JailGuardUseGUARD_READ, kind, id)
	}
	pinned, err := k.pinsOfMaps()
	if err != nil {
		return err
	}
	for id, m := range pinned {
		use := bpf.JailGuardUseGUARD_READ
		if slices.Contains(sealWritable, m.name) {
			use = bpf.JailGuardUseGUARD_WRITE
		}
		if err := putFor(use, bpf.JailGuardObjectGUARD_MAP, uint32(id)); err != nil {
			return err
		}
	}
	programs, err := filepath.Glob(progsDir + "/*/*")
	if err != nil {
		return err
	}
	for _, pin := range programs {
		if strings.HasPrefix(filepath.Base(pin), wholePrefix) {
			continue
		}
		if err := guardProgram(pin, put); err != nil {
			return fmt.Errorf("%s: %w", pin, err)
		}
	}
	pins, err := filepath.Glob(linksDir + "/*/*")
	if err != nil {
		return err
	}
	for _, pin := range pins {
		if err := guardLink(pin, put); err != nil {
			return fmt.Errorf("%s: %w", pin, err)
		}
	}
	return nil
}

func guardProgram(pin string, put func(bpf.JailGuardObject, uint32) error) error {
	prog, err := ebpf.LoadPinnedProgram(pin, nil)
	if err != nil {
		return translate(err)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return err
	}
	id, _ := info.ID()
	return put(bpf.JailGuardObjectGUARD_PROGRAM, uint32(id))
}

func guardLink(pin string, put func(bpf.JailGuardObject, uint32) error) error {
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return translate(err)
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return err
	}
	if err := put(bpf.JailGuardObjectGUARD_LINK, uint32(info.ID)); err != nil {
		return err
	}
	return put(bpf.JailGuardObjectGUARD_PROGRAM, uint32(info.Program))
}

// setReference tells the programs which mount namespace process 1 is in.
func setReference(spec *ebpf.CollectionSpec) error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/1/ns/mnt", &st); err != nil {
		return fmt.Errorf("mount namespace of process 1: %w", err)
	}
	return spec.Variables["reference_namespace"].Set(uint32(st.Ino))
}
