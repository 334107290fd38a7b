//go:build vm

package loader

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// movedRole lets a process read one file and no other.
const movedRole = 903

// movedThreads installs that role, and the entrance of a control group to it.
func movedThreads(t *testing.T) (k *Kernel, allowed, denied string) {
	t.Helper()
	k = testKernel(t)
	dir := openDir(t)
	allowed, denied = filepath.Join(dir, "allowed"), filepath.Join(dir, "denied")
	for _, file := range []string{allowed, denied} {
		if err := os.WriteFile(file, make([]byte, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	role := &profiles.Role{ID: movedRole, Name: "moved"}
	role.Files = []profiles.FileRule{{Path: allowed, Access: profiles.Read}}
	if err := k.InstallRoles([]*profiles.Role{role}); err != nil {
		t.Fatal(err)
	}
	makeCgroup(t, "/moved")
	makeCgroup(t, "/unlisted")
	installWays(t, k, Ways{Cgroups: []PathEntrance{{"/moved", Entrance{Role: movedRole}}}})
	return k, allowed, denied
}

// threads is a process whose threads wait for orders, a byte each.
type threads struct {
	pid    int
	orders io.Writer
	lines  *bufio.Scanner
	end    func()
}

// startThreads starts it; n begins with e where the first thread ends.
func startThreads(t *testing.T, n string, files ...string) *threads {
	t.Helper()
	cmd := exec.Command(attackBinary, append([]string{"-t", n}, files...)...)
	stdin, stdout, end := startPiped(t, cmd)
	p := &threads{cmd.Process.Pid, stdin, bufio.NewScanner(stdout), end}
	if !p.lines.Scan() || p.lines.Text() != "ready" {
		t.Fatalf("threads: %q", p.lines.Text())
	}
	return p
}

// order gives one order to each of so many threads and checks what so many of them, or their
// children, could open.
func (p *threads) order(t *testing.T, what, orders string, answers int, want unix.Errno) {
	t.Helper()
	if _, err := io.WriteString(p.orders, orders); err != nil {
		t.Fatal(err)
	}
	again := 0
	for i := range answers {
		if !p.lines.Scan() {
			t.Fatalf("%s: %d answers of %d", what, i, answers)
		}
		var (
			who         string
			no, yes, of int
		)
		if _, err := fmt.Sscan(p.lines.Text(), &who, &no, &yes, &of); err != nil {
			t.Fatalf("%s: %q: %v", what, p.lines.Text(), err)
		}
		if unix.Errno(no) != want || yes != 0 {
			t.Errorf("%s: %s: errno %d for what is denied, want %d, %d for what is allowed", what, who, no, want, yes)
		}
		again += of
	}
	if again > 0 {
		t.Logf("%s: %d opens of what is allowed were tried again", what, again)
	}
}

// wantRoles checks the list of every thread.
func (p *threads) wantRoles(t *testing.T, k *Kernel, want ...uint32) {
	t.Helper()
	for task := range tasksOfProcess(t, p.pid) {
		var tid int
		if _, err := fmt.Sscan(filepath.Base(task), &tid); err != nil {
			t.Fatal(err)
		}
		if got := rolesOf(t, k, tid); !sameRoles(got, want...) {
			t.Errorf("thread %d: roles %v", tid, got)
		}
	}
}

// TestMovedProcessIsTakenInWithAllItsThreads: those that slept when it was moved are inside when
// they wake, and what they give birth to.
func TestMovedProcessIsTakenInWithAllItsThreads(t *testing.T) {
	k, allowed, denied := movedThreads(t)
	for _, n := range []string{"1", "4", "200", "e4"} {
		count := 0
		if _, err := fmt.Sscan(strings.TrimPrefix(n, "e"), &count); err != nil {
			t.Fatal(err)
		}
		p := startThreads(t, n, allowed, denied)
		p.order(t, n+" outside", strings.Repeat("o", count), count, 0)
		move(t, p.pid, "/unlisted")
		p.order(t, n+" elsewhere", strings.Repeat("o", count), count, 0)
		move(t, p.pid, "/moved")
		if outside := unjailed(t, k, tasksOfProcess(t, p.pid)); len(outside) > 0 {
			t.Errorf("%s: listed as outside: %v", n, outside)
		}
		move(t, p.pid, "/unlisted")
		half := count / 2
		p.order(t, n+" moved", strings.Repeat("f", half)+strings.Repeat("o", count-half), count+half, unix.EACCES)
		p.order(t, n+" moved", strings.Repeat("o", count), count, unix.EACCES)
	}
	if t.Failed() {
		return
	}
	// A thread that was not the first one is when it has executed.
	p := startThreads(t, "e4", allowed, denied)
	move(t, p.pid, "/moved")
	move(t, p.pid, "/unlisted")
	p.order(t, "exec", "x", 1, unix.EACCES)
	if c, err := k.counters(); err == nil {
		t.Logf("short of memory: %d times", c[bpf.JailCounterCOUNT_NO_STORAGE])
	}
}

// TestMovedProcessStacks: all threads of a process that is in a jail already get the role of
// the group, behind those that they have.
func TestMovedProcessStacks(t *testing.T) {
	k, allowed, denied := movedThreads(t)
	p := startThreads(t, "4", allowed, denied)
	if err := k.Enroll(t.Context(), p.pid, startOf(t, p.pid), Entrance{Role: testRole}); err != nil {
		t.Fatal(err)
	}
	p.order(t, "in one jail", "oooo", 4, 0)
	move(t, p.pid, "/moved")
	p.wantRoles(t, k, testRole, movedRole)
	p.order(t, "in two", "ffoo", 6, unix.EACCES)
	// Stamped before it ran.
	p = startThreads(t, "4", allowed, denied)
	move(t, p.pid, "/moved")
	if err := k.Enroll(t.Context(), p.pid, startOf(t, p.pid), Entrance{Role: testRole}); err != nil {
		t.Fatal(err)
	}
	p.wantRoles(t, k, movedRole, testRole)
	p.order(t, "enrolled after the move", "oooo", 4, unix.EACCES)
}

// TestMovedThreadWhoseExecFailed: what such an exec staged is neither in the way nor entered.
func TestMovedThreadWhoseExecFailed(t *testing.T) {
	k, allowed, denied := movedThreads(t)
	junk := filepath.Join(openDir(t), "junk")
	if err := os.WriteFile(junk, make([]byte, 4096), 0o755); err != nil {
		t.Fatal(err)
	}
	installWays(t, k, Ways{
		Marked:  []PathEntrance{{junk, Entrance{Role: testRole}}},
		Cgroups: []PathEntrance{{"/moved", Entrance{Role: movedRole}}},
	})
	domains := func() (n int) {
		m, err := k.table("domains")
		if err != nil {
			t.Fatal(err)
		}
		var (
			key   uint64
			value bpf.JailDomain
		)
		for it := m.Iterate(); it.Next(&key, &value); {
			n++
		}
		return n
	}
	before := domains()
	p := startThreads(t, "e2", allowed, denied, junk)
	p.order(t, "failed exec", "pp", 2, 0)
	move(t, p.pid, "/moved")
	p.order(t, "moved", "of", 3, unix.EACCES)
	for task := range tasksOfProcess(t, p.pid) {
		var tid int
		if _, err := fmt.Sscan(filepath.Base(task), &tid); err != nil {
			t.Fatal(err)
		}
		if got := rolesOf(t, k, tid); !sameRoles(got, movedRole) {
			t.Errorf("thread %d: roles %v", tid, got)
		}
	}
	p.order(t, "exec", "x", 1, unix.EACCES)
	p.end()
	for end := time.Now().Add(20 * time.Second); domains() != before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d domains, %d before", domains(), before)
		}
	}
}

// TestMovedThreadIsTakenInAlone: in a threaded control group one thread can be moved, and the
// others stay outside.
func TestMovedThreadIsTakenInAlone(t *testing.T) {
	_, allowed, denied := movedThreads(t)
	for _, first := range []bool{false, true} {
		p := startThreads(t, "4", allowed, denied)
		top := fmt.Sprintf("/top-%v", first)
		makeCgroup(t, top)
		makeCgroup(t, top+"/part")
		move(t, p.pid, top)
		if err := os.WriteFile(cgroupRoot+top+"/part/cgroup.type", []byte("threaded"), 0); err != nil {
			t.Fatal(err)
		}
		k, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		installWays(t, k, Ways{Cgroups: []PathEntrance{{top + "/part", Entrance{Role: movedRole}}}})
		var moved string
		for task := range tasksOfProcess(t, p.pid) {
			if tid := filepath.Base(task); (tid == fmt.Sprint(p.pid)) == first {
				moved = tid
				break
			}
		}
		if err := os.WriteFile(cgroupRoot+top+"/part/cgroup.threads", []byte(moved), 0); err != nil {
			t.Fatal(err)
		}
		if outside := unjailed(t, k, tasksOfProcess(t, p.pid)); len(outside) != 3 || outside[fmt.Sprintf("/proc/%d/task/%s", p.pid, moved)] {
			t.Errorf("first %v: outside: %v, moved: %s", first, outside, moved)
		}
		if _, err := io.WriteString(p.orders, "oooo"); err != nil {
			t.Fatal(err)
		}
		denials := 0
		for range 4 {
			if p.lines.Scan(); strings.HasPrefix(p.lines.Text(), fmt.Sprintf("thread %d 0 ", unix.EACCES)) {
				denials++
			} else if !strings.HasPrefix(p.lines.Text(), "thread 0 0 ") {
				t.Errorf("first %v: %q", first, p.lines.Text())
			}
		}
		if denials != 1 {
			t.Errorf("first %v: %d threads were denied", first, denials)
		}
	}
}

// TestMovedProcessHasNoWindow: threads, those that they make, and their children open a file all
// the time; once the move is through none of them can.
func TestMovedProcessHasNoWindow(t *testing.T) {
	_, _, denied := movedThreads(t)
	for i := range 20 {
		to, file := "/moved", filepath.Join(openDir(t), "flag")
		if i == 0 {
			to = "/unlisted"
		}
		if err := os.WriteFile(file, make([]byte, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		set := func(b byte) {
			if _, err := f.WriteAt([]byte{b}, 0); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(attackBinary, "-w", "4", denied, file)
		cmd.Stderr = os.Stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		lines.Scan()
		time.Sleep(50 * time.Millisecond)
		move(t, cmd.Process.Pid, to)
		set(1)
		time.Sleep(100 * time.Millisecond)
		set(2)
		var escapes, tries int
		if !lines.Scan() {
			t.Fatal("no answer")
		}
		if _, err := fmt.Sscan(lines.Text(), &escapes, &tries); err != nil || tries == 0 || (escapes == 0) != (i > 0) {
			t.Errorf("run %d, moved to %s: %d escapes in %d tries, %v", i, to, escapes, tries, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("run %d: %v", i, err)
		}
		f.Close()
	}
}

// tasksOfProcess lists the threads of a process that live, as directories.
func tasksOfProcess(t *testing.T, pid int) map[string]bool {
	t.Helper()
	tasks := make(map[string]bool)
	for _, tid := range threadsOf(pid) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
		if err == nil && !bytes.Contains(data, []byte(") Z ")) {
			tasks[fmt.Sprintf("/proc/%d/task/%d", pid, tid)] = true
		}
	}
	return tasks
}

// unjailed gives those of the tasks, each by its directory, that live and are in no jail.
func unjailed(t *testing.T, k *Kernel, tasks map[string]bool) map[string]bool {
	t.Helper()
	list, err := k.Subjects()
	if err != nil {
		t.Fatal(err)
	}
	jailed := make(map[string]bool)
	for _, s := range list {
		jailed[fmt.Sprint(s.TID)] = true
	}
	outside := make(map[string]bool)
	for task := range tasks {
		if _, err := os.Stat(task); err == nil && !jailed[filepath.Base(task)] {
			outside[task] = true
		}
	}
	return outside
}
