package loader

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

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
	winner := t.winners()[device(m)]
	inside := path.Join(m.Root, strings.TrimPrefix(real, strings.TrimSuffix(m.Mountpoint, "/")))
	if !below(inside, winner.Root) {
		return real, nil
	}
	return path.Join(winner.Mountpoint, strings.TrimPrefix(inside, strings.TrimSuffix(winner.Root, "/"))), nil
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
