//go:build vm

package loader

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"jail/profiles"
)

func remount(flags uintptr) error {
	return unix.Mount("", bpffs, "", unix.MS_REMOUNT|flags, "")
}

// loadChild loads in a process of its own.
func loadChild(env ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, childEnv+"=load")...)
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// notWhole fails where what is left after a fault calls itself whole or takes anybody in.
func notWhole(t *testing.T, when string) {
	t.Helper()
	permissive, _ := profiles.Builtins().ByName("permissive")
	if err := Arm([]uint32{permissive.ID}, 0); err == nil {
		_ = Disarm()
		t.Errorf("%s: a role can be entered", when)
	}
	k, err := Open()
	if errors.Is(err, ErrNotLoaded) || errors.Is(err, ErrNotWhole) {
		return
	}
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	defer k.Close()
	if s, err := k.Status(); err != nil || s.Whole || s.Open {
		t.Errorf("%s: status %+v, %v", when, s, err)
	}
}

// linksInUse counts the links in the kernel that call a program of a jail.
func linksInUse(t *testing.T, k *Kernel) (n int) {
	t.Helper()
	info, err := k.maps["control_block"].Info()
	if err != nil {
		t.Fatal(err)
	}
	control, _ := info.ID()
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		_, program, err := programOf(it.Link)
		if err != nil {
			continue
		}
		ids, _ := program.MapIDs()
		for _, id := range ids {
			if id == control {
				n++
			}
		}
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLoadWithoutDescriptorsMemoryOrPinsIsNotWhole: each fault ends in an error or in the end
// of the process, never in a hang, and a load afterwards goes on from there.
func TestLoadWithoutDescriptorsMemoryOrPinsIsNotWhole(t *testing.T) {
	unload(t)
	for _, limit := range []string{"7", "40"} {
		cmd, out := loadChild(limitEnv + "=" + limit)
		if err := cmd.Run(); err == nil || !strings.Contains(out.String(), "too many open files") {
			t.Errorf("%s descriptors: %v: %s", limit, err, out)
		}
		notWhole(t, limit+" descriptors")
	}

	if err := remount(unix.MS_RDONLY); err != nil {
		t.Fatal(err)
	}
	cmd, out := loadChild()
	if err := cmd.Run(); err == nil || !strings.Contains(out.String(), unix.EROFS.Error()) {
		t.Errorf("a read-only bpf file system: %v: %s", err, out)
	}
	notWhole(t, "read-only")
	if err := remount(0); err != nil {
		t.Fatal(err)
	}

	// The kernel bills what a load allocates to its control group.
	for _, most := range []int{12 << 20, 48 << 20} {
		group := memoryGroup(t, most)
		cmd, out = loadChild()
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
		err := cmd.Run()
		_ = group.Close()
		if err == nil {
			t.Fatalf("%d bytes were enough for a load", most)
		}
		t.Logf("%d bytes: %v: %.200s", most, err, out)
		notWhole(t, strconv.Itoa(most)+" bytes of memory")
	}

	cmd, out = loadChild(killEnv + "=link:20:readonly")
	if err := cmd.Run(); err == nil || !strings.Contains(out.String(), unix.EROFS.Error()) {
		t.Errorf("read-only half-way: %v: %s", err, out)
	}
	if err := remount(0); err != nil {
		t.Fatal(err)
	}
	notWhole(t, "read-only half-way")

	// Two at once; one of them mends.
	first, firstOut := loadChild()
	second, secondOut := loadChild()
	if err := errors.Join(first.Start(), second.Start()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Wait(), second.Wait()); err != nil {
		t.Errorf("two loads at once: %v: %s %s", err, firstOut, secondOut)
	}
	k := testKernel(t)
	s, err := k.Status()
	if err != nil || !s.Whole {
		t.Fatalf("after all: status %+v, %v", s, err)
	}
	users := 0
	for _, l := range mustPins(t).sets[k.set].links {
		ids, _ := l.program.MapIDs()
		info, _ := k.maps["control_block"].Info()
		control, _ := info.ID()
		for _, id := range ids {
			if id == control {
				users++
			}
		}
	}
	if n := linksInUse(t, k); n != users {
		t.Errorf("%d links are in use, %d are pinned", n, users)
	}
	// Pins of a read-only bpf file system cannot be opened: that is said, and nothing changes.
	if err := remount(unix.MS_RDONLY); err != nil {
		t.Fatal(err)
	}
	cmd, out = loadChild()
	err = cmd.Run()
	if rerr := remount(0); rerr != nil {
		t.Fatal(rerr)
	}
	if err == nil || !strings.Contains(out.String(), unix.EROFS.Error()) || strings.Contains(out.String(), ErrForeign.Error()) {
		t.Errorf("whole, and read-only: %v: %s", err, out)
	}
	if s, err := k.Status(); err != nil || !s.Whole {
		t.Errorf("writable again: %+v, %v", s, err)
	}
}

func mustPins(t *testing.T) *pins {
	t.Helper()
	found, err := readPins()
	if err == nil {
		err = found.foreign()
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// memoryGroup is a control group of so many bytes.
func memoryGroup(t *testing.T, most int) *os.File {
	t.Helper()
	const top = "/sys/fs/cgroup"
	dir := top + "/jail-memory"
	if err := os.WriteFile(top+"/cgroup.subtree_control", []byte("+memory"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := os.WriteFile(dir+"/memory.max", []byte(strconv.Itoa(most)), 0); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestClockJumpsLetNobodyGo: the clock goes ten years on and back while roles are replaced.
func TestClockJumpsLetNobodyGo(t *testing.T) {
	k := testKernel(t)
	if err := k.InstallRoles(reloadRoles("reload A")); err != nil {
		t.Fatal(err)
	}
	cmd, stdin, stdout := startChild(t, "enter")
	_ = unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, 19) // it only has to be there
	waitSubjects(t, k, 1)
	begun := time.Now() // its monotonic part tells how long this took
	set := func(when time.Time) {
		t.Helper()
		ts := unix.NsecToTimespec(when.UnixNano())
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
			t.Fatal(err)
		}
	}
	for i, jump := range []time.Duration{10 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour} {
		set(time.Now().Add(jump))
		if err := k.InstallRoles(reloadRoles([]string{"reload B", "reload A"}[i])); err != nil {
			t.Errorf("reload after a jump of %v: %v", jump, err)
		}
		if err := k.selfTest(t.Context()); err != nil {
			t.Errorf("after a jump of %v: %v", jump, err)
		}
		if s, err := k.Status(); err != nil || !s.Whole {
			t.Errorf("after a jump of %v: %+v, %v", jump, s, err)
		}
	}
	set(begun.Round(0).Add(time.Since(begun)))
	finish(t, cmd, stdin, stdout)
}

// TestStoppedMachineLetsNobodyGo: the whole machine stands still for seconds, as when its host
// is suspended, while a jailed process opens files and a load of roles is under way.
func TestStoppedMachineLetsNobodyGo(t *testing.T) {
	k := testKernel(t)
	if err := k.InstallRoles(reloadRoles("reload A")); err != nil {
		t.Fatal(err)
	}
	cmd, stdin, stdout := startChild(t, "enter")
	waitSubjects(t, k, 1)
	port, err := os.OpenFile("/dev/vport0p4", os.O_WRONLY, 0) // see scripts/vm
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	for i := range 2 {
		stood := make(chan bool)
		begun := time.Now()
		go func() { // it may begin when all is over
			for last := begun; time.Since(begun) < time.Minute; last = time.Now() {
				time.Sleep(10 * time.Millisecond)
				if time.Since(last) > 2*time.Second { // of five; a guest's clock may be slow
					close(stood)
					return
				}
			}
			t.Error("the machine did not stand still")
			close(stood)
		}()
		if _, err := port.Write([]byte{'p'}); err != nil {
			t.Fatal(err)
		}
		for loading := true; loading; {
			if err := k.InstallRoles(reloadRoles([]string{"reload B", "reload A"}[i])); err != nil {
				t.Fatal(err)
			}
			select {
			case <-stood:
				loading = false
			default:
			}
		}
		if err := k.selfTest(t.Context()); err != nil {
			t.Error(err)
		}
		if s, err := k.Status(); err != nil || !s.Whole {
			t.Errorf("%+v, %v", s, err)
		}
	}
	finish(t, cmd, stdin, stdout)
}
