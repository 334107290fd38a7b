//go:build vm

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sealedCall is something that root tries before a seal, where it must not be EPERM, and after
// it, where it must, or, if the seal leaves it open, gives what it gave before.
type sealedCall struct {
	id, name string
	try      func() error
	open     bool
	before   error
}

// bpfWords is bpf(2) with attributes of 32-bit words: descriptors of -1, so that a request
// that is not refused fails for the kernel's own reasons.
func bpfWords(cmd int, words ...uint32) func() error {
	return func() error {
		var attr [16]uint32
		copy(attr[:], words)
		fd, err := bpfCall(cmd, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if err == nil && fd > 0 {
			_ = unix.Close(fd)
		}
		return err
	}
}

const none = ^uint32(0) // a descriptor of -1

// withPin opens a pin with bpf(2) and hands its descriptor on.
func withPin(path string, use func(fd uint32) error) func() error {
	return func() error {
		fd, err := objectGet(path, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return use(uint32(fd))
	}
}

// opening opens a file and does no more.
func opening(path string, flags int) func() error {
	return func() error {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}
}

// sealedCalls are made before the seal, when pins can be listed.
func sealedCalls(t *testing.T) []sealedCall {
	t.Helper()
	link, iterator, program := pinOf(t, "links", "file_open"), pinOf(t, "links", "subjects_iter"), pinOf(t, "programs", "seal_to")
	calls := []sealedCall{
		{id: "S05", name: "BPF_RAW_TRACEPOINT_OPEN", try: bpfWords(unix.BPF_RAW_TRACEPOINT_OPEN, 0, 0, none)},
		{id: "S05", name: "BPF_PROG_DETACH of a sysctl program", try: bpfWords(unix.BPF_PROG_DETACH, none, none, 18)},
		{id: "S05", name: "BPF_PROG_DETACH of a socket program", try: bpfWords(unix.BPF_PROG_DETACH, none, none, 0), open: true},
		{id: "S05", name: "BPF_PROG_ATTACH of LSM_CGROUP", try: bpfWords(unix.BPF_PROG_ATTACH, none, none, 43)},
		{id: "S05", name: "BPF_PROG_ATTACH of a sysctl program", try: bpfWords(unix.BPF_PROG_ATTACH, none, none, 18), open: true},
		{id: "S11", name: "BPF_ITER_CREATE", try: bpfWords(unix.BPF_ITER_CREATE, none, 0)},
		{id: "S11", name: "BPF_ITER_CREATE of ours", try: withPin(iterator, func(fd uint32) error { return bpfWords(unix.BPF_ITER_CREATE, fd, 0)() })},
		// A link's pin opens, and gives nothing.
		{id: "S04", name: "BPF_LINK_DETACH of ours", try: withPin(link, func(fd uint32) error { return bpfWords(unix.BPF_LINK_DETACH, fd)() }), open: true},
		{id: "S04", name: "BPF_LINK_UPDATE of ours", try: withPin(iterator, func(fd uint32) error { return bpfWords(unix.BPF_LINK_UPDATE, fd, none)() }), open: true},
		{id: "S04", name: "BPF_OBJ_GET of a program", try: withPin(program, func(uint32) error { return nil })},
		{id: "S01", name: "BPF_OBJ_GET of a map to write only", try: func() error {
			fd, err := objectGet(pinOf(t, "maps", "policies"), unix.BPF_F_WRONLY)
			if err == nil {
				err = unix.Close(fd)
			}
			return err
		}},
		{id: "S04", name: "BPF_BTF_GET_FD_BY_ID", try: bpfWords(unix.BPF_BTF_GET_FD_BY_ID, 1), open: true},
		// Each command is asked, with a token or without.
		{id: "S14", name: "BPF_TOKEN_CREATE", try: bpfWords(36, 0, none), open: true},
	}
	for attach, name := range map[uint32]string{
		24: "fentry", 26: "fmod_ret", 27: "LSM", 28: "iterator", 41: "perf event", 42: "kprobe_multi",
		43: "LSM_CGROUP", 48: "uprobe_multi", 56: "kprobe session", 63: "one to come", 64: "one to come",
	} {
		calls = append(calls, sealedCall{id: "S05", name: "BPF_LINK_CREATE of " + name, try: bpfWords(unix.BPF_LINK_CREATE, none, 0, attach)})
	}
	for attach, name := range map[uint32]string{0: "cgroup_skb", 37: "XDP", 46: "TCX"} {
		calls = append(calls, sealedCall{id: "S05", name: "BPF_LINK_CREATE of " + name, try: bpfWords(unix.BPF_LINK_CREATE, none, 0, attach), open: true})
	}
	for kind, name := range map[uint32]string{
		2: "kprobe", 5: "tracepoint", 7: "perf_event", 17: "raw_tracepoint", 24: "raw_tracepoint_writable",
		26: "tracing", 28: "ext", 29: "lsm",
	} {
		calls = append(calls, sealedCall{id: "S05", name: "BPF_PROG_LOAD of " + name, try: bpfWords(unix.BPF_PROG_LOAD, kind)})
	}
	for kind, name := range map[uint32]string{1: "socket_filter", 6: "xdp", 31: "syscall"} {
		calls = append(calls, sealedCall{id: "S05", name: "BPF_PROG_LOAD of " + name, try: bpfWords(unix.BPF_PROG_LOAD, kind), open: true})
	}
	event := func(use func(fd int) error) func() error {
		return func() error {
			attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_DUMMY, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
			fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return use(fd)
		}
	}
	calls = append(calls,
		sealedCall{id: "S05", name: "PERF_EVENT_IOC_SET_BPF", try: event(func(fd int) error { return unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, -1) })},
		sealedCall{id: "S05", name: "PERF_EVENT_IOC_ENABLE", try: event(func(fd int) error { return unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0) }), open: true},
		sealedCall{id: "S08", name: "ioperm", try: func() error { return errnoOf(unix.Syscall(unix.SYS_IOPERM, 0x80, 1, 1)) }},
		sealedCall{id: "S08", name: "ioperm, given back", try: func() error { return errnoOf(unix.Syscall(unix.SYS_IOPERM, 0x80, 1, 0)) }, open: true},
		sealedCall{id: "S02", name: "io_uring unlinkat of no pin", try: attackErrno(t, "F44_unlinkat", pinOf(t, "links", "nosuch")), open: true},
	)
	if _, err := os.Stat("/dev/port"); err == nil {
		calls = append(calls, sealedCall{id: "S08", name: "/dev/port", try: opening("/dev/port", unix.O_RDWR)})
	}
	if text, err := os.ReadFile("/sys/bus/event_source/devices/kprobe/type"); err == nil {
		calls = append(calls, sealedCall{id: "S08", name: "a kprobe by perf_event_open", try: func() error { return kprobe(t, string(text)) }})
	}
	if found, _ := filepath.Glob("/sys/bus/pci/devices/*/config"); len(found) > 0 {
		calls = append(calls, sealedCall{id: "S08", name: "PCI configuration space", try: func() error { return rewrite(found[0], 0x3c, 1) }})
	}
	if _, err := os.Stat("/dev/snapshot"); err == nil {
		calls = append(calls, sealedCall{id: "S09", name: "/dev/snapshot, of hibernation", try: opening("/dev/snapshot", unix.O_RDONLY)})
	}
	calls = append(calls, sealedCall{id: "S08", name: "a writable file of debugfs", try: func() error {
		// Mounted for as long as this takes: a reload would tell that the mounts differ.
		if err := errors.Join(os.MkdirAll("/tmp/debug", 0o755), unix.Mount("none", "/tmp/debug", "debugfs", 0, "")); err != nil {
			return err
		}
		defer func() { _ = unix.Unmount("/tmp/debug", unix.MNT_DETACH) }()
		return opening("/tmp/debug/clear_warn_once", unix.O_WRONLY)()
	}})
	return calls
}

func errnoOf(_, _ uintptr, errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// attackErrno runs one of the attacks; its status is an errno.
func attackErrno(t *testing.T, args ...string) func() error {
	return func() error {
		if status := run(t, "/attacks", args...).status; status != 0 {
			return unix.Errno(status)
		}
		return nil
	}
}

// kprobe makes one on a kernel function, which nobody runs a program at, and takes it away.
func kprobe(t *testing.T, text string) error {
	t.Helper()
	name, err := unix.BytePtrFromString("do_exit")
	if err != nil {
		t.Fatal(err)
	}
	kind := 0
	for _, digit := range strings.TrimSpace(text) {
		kind = kind*10 + int(digit-'0')
	}
	attr := unix.PerfEventAttr{Type: uint32(kind), Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Ext1: uint64(uintptr(unsafe.Pointer(name)))}
	fd, err := unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	runtime.KeepAlive(name)
	if err == nil {
		err = unix.Close(fd)
	}
	return err
}

// rewrite writes into a file what is there.
func rewrite(name string, at int64, n int) error {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	data := make([]byte, n)
	if _, err := unix.Pread(fd, data, at); err != nil {
		return err
	}
	_, err = unix.Pwrite(fd, data, at)
	return err
}

// elsewhere runs steps in a mount namespace of its own, whose mounts are peers of ours.
func elsewhere(t *testing.T, steps func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with this
		err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS)
		if err == nil {
			err = steps()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// closesPinsElsewhere: the pins go with no copy of their mount, in no namespace. /sys has
// peers, as systemd makes it.
func closesPinsElsewhere(t *testing.T) {
	pin := pinOf(t, "links", "file_open")
	rel, err := filepath.Rel("/sys/fs/bpf", pin)
	if err != nil {
		t.Fatal(err)
	}
	stays := func(name string) {
		t.Helper()
		if !slices.Contains(mountpoints(t), "/sys/fs/bpf") {
			t.Fatalf("%s: the pins' mount is gone", name)
		}
	}
	err = errors.Join(os.MkdirAll("/tmp/copy", 0o755), unix.Mount("none", "/tmp/copy", "tmpfs", 0, ""), os.Mkdir("/tmp/copy/sys", 0o755),
		unix.Mount("/sys", "/tmp/copy/sys", "", unix.MS_BIND|unix.MS_REC, ""))
	if err != nil {
		t.Fatal(err)
	}
	refusedRow(t, "S02", "unlink of a pin in a copy of the tree", unix.Unlink("/tmp/copy/sys/fs/bpf/"+rel))
	refusedRow(t, "S02", "io_uring unlinkat of a pin", attackErrno(t, "F44_unlinkat", pin)())
	refusedRow(t, "S02", "umount of a copy of the pins' mount", unix.Unmount("/tmp/copy/sys/fs/bpf", 0))
	refusedRow(t, "S02", "umount -l of what a copy of /sys is on", unix.Unmount("/tmp/copy", unix.MNT_DETACH))
	stays("umount -l of a copy")
	if err := errors.Join(unix.Mount("", "/tmp/copy/sys", "", unix.MS_PRIVATE|unix.MS_REC, ""), unix.Unmount("/tmp/copy", unix.MNT_DETACH)); err != nil {
		t.Errorf("control: umount -l of the copy, made private: %v", err)
	}
	stays("umount -l of a copy that was made private")
	elsewhere(t, func() error {
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		refusedRow(t, "S02", "umount -l /sys in another namespace", unix.Unmount("/sys", unix.MNT_DETACH))
		refusedRow(t, "S02", "unlink of a pin in another namespace", unix.Unlink(pin))
		return nil
	})
	stays("umount -l /sys elsewhere")
	elsewhere(t, func() error {
		// Another mount where the pins' is, on a mount that becomes a peer of /sys.
		err := errors.Join(unix.Mount("", "/", "", unix.MS_PRIVATE, ""), os.MkdirAll("/tmp/peer", 0o755),
			unix.Mount("none", "/tmp/peer", "tmpfs", 0, ""), unix.Mount("", "/tmp/peer", "", unix.MS_PRIVATE, ""),
			os.Mkdir("/tmp/peer/sys", 0o755), unix.Mount("/sys", "/tmp/peer/sys", "", unix.MS_BIND, ""))
		if err != nil {
			return err
		}
		refusedRow(t, "S02", "mount where the pins' mount is, on a peer", unix.Mount("none", "/tmp/peer/sys/fs/bpf", "tmpfs", 0, ""))
		err = errors.Join(unix.Mount("", "/tmp/peer/sys", "", unix.MS_PRIVATE, ""), unix.Mount("none", "/tmp/peer/sys/fs/bpf", "tmpfs", 0, ""))
		if err != nil {
			return err
		}
		if err := unix.MoveMount(unix.AT_FDCWD, "/sys", unix.AT_FDCWD, "/tmp/peer/sys", unix.MOVE_MOUNT_SET_GROUP); err != nil {
			return err
		}
		refusedRow(t, "S02", "umount where the pins' mount is, on a peer", unix.Unmount("/tmp/peer/sys/fs/bpf", 0))
		return nil
	})
	stays("umount on a peer")
	elsewhere(t, func() error {
		err := errors.Join(unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""), unix.Unmount("/sys", unix.MNT_DETACH))
		if err != nil {
			t.Errorf("control: umount -l /sys where nobody else sees it: %v", err)
		}
		return nil
	})
	stays("umount -l of private mounts elsewhere")
	fd, err := unix.Fspick(unix.AT_FDCWD, "/sys/fs/bpf", unix.FSPICK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.FsconfigSetFlag(fd, "ro"); err != nil {
		t.Fatal(err)
	}
	refusedRow(t, "S02", "fsconfig, read-only bpffs", unix.FsconfigReconfigure(fd))
	run(t, jailPath, "status").want(t, 0)
}

// mountpoints lists where something is mounted.
func mountpoints(t *testing.T) (list []string) {
	t.Helper()
	data, err := os.ReadFile("/proc/1/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		list = append(list, strings.Fields(line)[4])
	}
	return list
}
