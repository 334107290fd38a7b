//go:build vm

package loader

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jail/bpf"
)

// The tests of this file run programs that got into a jail by other ways than jail run.
// What they look at is the child's own answer: the depth of its list.

const (
	testRole  = 5 // isolated
	otherRole = 7 // worker
)

// showRoles runs a command that is still alive when its roles are read, and gives them.
// The command must read its standard input to the end.
func showRoles(t *testing.T, k *Kernel, cmd *exec.Cmd) (roles []uint32, err error) {
	t.Helper()
	end, err := startReader(t, cmd)
	if err != nil {
		return nil, err
	}
	defer end()
	return rolesOf(t, k, cmd.Process.Pid), nil
}

// startReader starts a command that reads its standard input, and waits until it does; end
// closes that and waits for the command's end.
func startReader(t *testing.T, cmd *exec.Cmd) (end func(), err error) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	awaitRead(cmd.Process.Pid)
	return func() { _ = stdin.Close(); _ = cmd.Wait() }, nil
}

// awaitRead waits until the process reads its standard input: Start comes back while the
// exec is still under way.
func awaitRead(pid int) {
	for range 500 {
		call, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
		if err != nil || strings.HasPrefix(string(call), "0 0x0 ") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func rolesOf(t *testing.T, k *Kernel, pid int) (roles []uint32) {
	t.Helper()
	list, err := k.Subjects()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if int(s.TID) != pid {
			continue
		}
		for _, m := range s.Roles {
			roles = append(roles, m.Role)
		}
	}
	return roles
}

// programs makes a directory with copies of a program, which only reads its input.
func copyOf(t *testing.T, file, to string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "ways")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func installWays(t *testing.T, k *Kernel, w Ways) {
	t.Helper()
	if err := k.InstallWays(w); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.InstallWays(Ways{}); err != nil {
			t.Error(err)
		}
	})
}

func sameRoles(got []uint32, want ...uint32) bool {
	return fmt.Sprint(got) == fmt.Sprint(want) || len(got)+len(want) == 0
}

// TestMarkedFileIsJailedUnderEveryName is the documented table of what a mark covers.
func TestMarkedFileIsJailedUnderEveryName(t *testing.T) {
	k := testKernel(t)
	dir := openDir(t)
	app := filepath.Join(dir, "app")
	copyOf(t, "/bin/cat", app)
	script := filepath.Join(dir, "script")
	if err := errors.Join(os.WriteFile(script, []byte("#!"+app+"\nx\n"), 0o755),
		os.Symlink(app, filepath.Join(dir, "symlink")), os.Link(app, filepath.Join(dir, "hardlink"))); err != nil {
		t.Fatal(err)
	}
	copyOf(t, app, filepath.Join(dir, "copy"))
	f, err := os.Open(app)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := k.PutExecutable(f, Entrance{Role: testRole}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.DeleteExecutable(f) })
	if ok, err := k.HasExecutable(f, Entrance{Role: testRole}); err != nil || !ok {
		t.Fatalf("the table lacks the file just put: %v", err)
	}
	in := func(cmd *exec.Cmd) *exec.Cmd { cmd.Dir = dir; return cmd }
	fd := exec.Command("/proc/self/fd/3")
	fd.ExtraFiles = []*os.File{f}
	user := exec.Command(app)
	user.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	for _, c := range []struct {
		name string
		cmd  *exec.Cmd
		want []uint32
	}{
		{"full path", exec.Command(app), []uint32{testRole}},
		{"relative path", in(exec.Command("./app")), []uint32{testRole}},
		{"ordinary user", user, []uint32{testRole}},
		{"symlink", exec.Command(filepath.Join(dir, "symlink")), []uint32{testRole}},
		{"hard link", exec.Command(filepath.Join(dir, "hardlink")), []uint32{testRole}},
		{"descriptor", fd, []uint32{testRole}},
		{"interpreter of a script", exec.Command(script, "/dev/stdin"), []uint32{testRole}},
		{"shell", exec.Command("/bin/sh", "-c", "exec "+app), []uint32{testRole}},
		{"env", exec.Command("/usr/bin/env", app), []uint32{testRole}},
		{"copy", exec.Command(filepath.Join(dir, "copy")), nil},
		{"the loader as a program", exec.Command("/lib64/ld-linux-x86-64.so.2", app), nil},
		{"another program", exec.Command("/bin/cat"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := c.cmd
			end, err := startReader(t, cmd)
			if err != nil {
				t.Fatal(err)
			}
			defer end()
			got := rolesOf(t, k, cmd.Process.Pid)
			if !sameRoles(got, c.want...) {
				t.Errorf("roles %v, want %v", got, c.want)
			}
		})
	}
}

// TestListedPathIsJailedAlsoOnceReplaced: what a package upgrade does.
func TestListedPathIsJailedAlsoOnceReplaced(t *testing.T) {
	k := testKernel(t)
	dir := openDir(t)
	app := filepath.Join(dir, "app$[*]")
	installWays(t, k, Ways{Execs: []PathEntrance{{app, Entrance{Role: testRole, Pod: 31}}}})
	expect := func(when, file string, want ...uint32) {
		t.Helper()
		got, err := showRoles(t, k, exec.Command(file))
		if err != nil || !sameRoles(got, want...) {
			t.Errorf("%s: roles %v, %v, want %v", when, got, err, want)
		}
	}
	copyOf(t, "/bin/cat", app)
	expect("made after the table", app, testRole)
	if err := k.Collect(); err != nil { // the paths' policy is no role's
		t.Fatal(err)
	}
	expect("after policies were collected", app, testRole)
	copyOf(t, "/bin/cat", app+".new")
	expect("another name", app+".new")
	if err := os.Rename(app+".new", app); err != nil {
		t.Fatal(err)
	}
	expect("replaced by a rename", app, testRole)
	if err := os.Rename(app, app+".old"); err != nil {
		t.Fatal(err)
	}
	expect("renamed away", app+".old")
	copyOf(t, "/bin/cat", app)
	expect("made again", app, testRole)
	installWays(t, k, Ways{})
	expect("no longer listed", app)
}

func TestUnknownRoleRefusesTheExec(t *testing.T) {
	k := testKernel(t)
	app := filepath.Join(openDir(t), "app")
	copyOf(t, "/bin/cat", app)
	if _, err := showRoles(t, k, exec.Command(app)); err != nil {
		t.Fatalf("control: %v", err)
	}
	installWays(t, k, Ways{Execs: []PathEntrance{{app, Entrance{Role: 4242}}}})
	if _, err := showRoles(t, k, exec.Command(app)); !errors.Is(err, unix.EPERM) {
		t.Errorf("exec: %v, want EPERM", err)
	}
}

// TestMarkInXattr needs a kernel that reads it; on the others nothing may change.
func TestMarkInXattr(t *testing.T) {
	k := testKernel(t)
	app := filepath.Join(openDir(t), "app")
	copyOf(t, "/bin/cat", app)
	set := func(value string) error { return unix.Setxattr(app, "security.bpf.jail", []byte(value), 0) }
	good := "\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	if err := set(good); err != nil {
		t.Fatal(err)
	}
	status, err := k.Status()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("xattr read by this kernel: %v", status.Ways.Xattr)
	got, err := showRoles(t, k, exec.Command(app))
	if want := map[bool][]uint32{true: {testRole}}[status.Ways.Xattr]; err != nil || !sameRoles(got, want...) {
		t.Errorf("roles %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "x", good[:15], good + "x", "\x02" + good[1:], good[:4] + "\xff" + good[5:], strings.Repeat("A", 100)} {
		if err := set(bad); err != nil {
			t.Fatal(err)
		}
		_, err := showRoles(t, k, exec.Command(app))
		if status.Ways.Xattr && !errors.Is(err, unix.EPERM) {
			t.Errorf("mark %q: exec %v, want EPERM", bad, err)
		}
	}
	// 0711: who may not read the file cannot have its mark read.
	if err := errors.Join(set(good), os.Chmod(app, 0o711)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(app)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	if _, err := showRoles(t, k, cmd); err != nil {
		t.Errorf("a file of mode 0711: %v", err)
	}
}

func TestMarkIsRootsToSetOutsideAnyJail(t *testing.T) {
	testKernel(t)
	app := filepath.Join(openDir(t), "app")
	copyOf(t, "/bin/cat", app)
	if err := os.Chown(app, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	out := func(as uint32, role string, args ...string) string {
		argv := append([]string{"/usr/bin/python3", "-c", `
import os,sys
try:
    if sys.argv[1]=="set": os.setxattr(sys.argv[2], sys.argv[3], b"x")
    else: os.removexattr(sys.argv[2], sys.argv[3])
    print("ok")
except OSError as e: print(e.errno)`}, args...)
		if role != "" {
			argv = append([]string{"/usr/bin/jail", "run", "--role", role, "--"}, argv...)
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: as, Gid: as}}
		got, err := cmd.Output()
		if err != nil {
			t.Errorf("%v: %v", argv, err)
		}
		return strings.TrimSpace(string(got))
	}
	const mark = "security.bpf.jail"
	for _, c := range []struct {
		name string
		as   uint32
		role string
		args []string
		want string
	}{
		{"root sets", 0, "", []string{"set", app, mark}, "ok"},
		{"owner removes", 1000, "", []string{"remove", app, mark}, "1"},
		{"jailed root removes", 0, "permissive", []string{"remove", app, mark}, "1"},
		{"root removes", 0, "", []string{"remove", app, mark}, "ok"},
		{"owner sets", 1000, "", []string{"set", app, mark}, "1"},
		{"jailed root sets", 0, "permissive", []string{"set", app, mark}, "1"},
		{"owner sets another", 1000, "", []string{"set", app, "user.other"}, "ok"},
		{"jailed root sets another", 0, "permissive", []string{"set", app, "user.other"}, "ok"},
	} {
		if got := out(c.as, c.role, c.args...); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestMarkedProgramMayExecuteItself again and again without filling its list.
func TestMarkedProgramMayExecuteItself(t *testing.T) {
	k := testKernel(t)
	app := filepath.Join(openDir(t), "bash")
	copyOf(t, "/bin/bash", app)
	installWays(t, k, Ways{Marked: []PathEntrance{{app, Entrance{Role: otherRole}}}})
	out, err := exec.Command(app, "-c", `n=${1:-0}; test $n = 20 && echo done || exec "$0" -c "$BASH_EXECUTION_STRING" "$0" $((n+1))`, app).CombinedOutput()
	out2, err2 := exec.Command(app, "-c", fmt.Sprintf(`%[1]s -c '%[1]s -c "%[1]s -c \"%[1]s -c :\""' && echo done`, app)).CombinedOutput()
	if err2 != nil || !strings.Contains(string(out2), "done") {
		t.Errorf("nested: %v: %s", err2, out2)
	}
	if err != nil || !strings.Contains(string(out), "done") {
		t.Errorf("20 in a row: %v: %s", err, out)
	}
	cmd := exec.Command(app, "-c", fmt.Sprintf("for i in 1 2 3 4 5 6 7 8 9 10; do :; done; exec %[1]s -c 'exec %[1]s -c \"exec %[1]s -c \\\"read x\\\"\"'", app))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	got, err := showRoles(t, k, cmd)
	if err != nil || !sameRoles(got, otherRole) {
		t.Errorf("roles %v, %v, want one; %s; %v", got, err, &stderr, cmd.ProcessState)
	}
}

const cgroupRoot = "/sys/fs/cgroup"

func makeCgroup(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(cgroupRoot + "/cgroup.procs"); err != nil {
		if err := unix.Mount("cgroup2", cgroupRoot, "cgroup2", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(cgroupRoot+path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 100 {
			if unix.Rmdir(cgroupRoot+path) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

func move(t *testing.T, pid int, path string) {
	t.Helper()
	if err := os.WriteFile(cgroupRoot+path+"/cgroup.procs", []byte(fmt.Sprint(pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// TestListedCgroupJailsAndSticks: by exec, by fork, by a move; also below it; also once it
// was removed and made again.
func TestListedCgroupJailsAndSticks(t *testing.T) {
	k := testKernel(t)
	makeCgroup(t, "/web.slice/web.service/sub")
	makeCgroup(t, "/web.slice/other")
	makeCgroup(t, "/web.slice/web.service2")
	installWays(t, k, Ways{Cgroups: []PathEntrance{{"/web.slice/web.service", Entrance{Role: testRole}}}})
	born := func(path string) []uint32 {
		dir, err := os.Open(cgroupRoot + path)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		cmd := exec.Command("/bin/cat")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
		got, err := showRoles(t, k, cmd)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for path, want := range map[string][]uint32{
		"/web.slice/web.service": {testRole}, "/web.slice/web.service/sub": {testRole},
		"/web.slice/other": nil, "/web.slice/web.service2": nil, "/web.slice": nil,
	} {
		if got := born(path); !sameRoles(got, want...) {
			t.Errorf("born into %s: roles %v, want %v", path, got, want)
		}
	}
	for _, path := range []string{"/web.slice/web.service/sub", "/web.slice/web.service"} {
		if err := unix.Rmdir(cgroupRoot + path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	makeCgroup(t, "/web.slice/web.service")
	if got := born("/web.slice/web.service"); !sameRoles(got, testRole) {
		t.Errorf("made again: roles %v", got)
	}
	// Moved, without an exec, and moved out again.
	cmd := exec.Command("/bin/cat")
	end, err := startReader(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if got := rolesOf(t, k, cmd.Process.Pid); len(got) != 0 {
		t.Errorf("control: roles %v before the move", got)
	}
	for _, path := range []string{"/web.slice/web.service", "/web.slice/other", ""} {
		move(t, cmd.Process.Pid, path)
		if got := rolesOf(t, k, cmd.Process.Pid); !sameRoles(got, testRole) {
			t.Errorf("moved to %q: roles %v", path, got)
		}
	}
	for _, path := range []string{"/", "/init.scope"} {
		if err := k.InstallWays(Ways{Cgroups: []PathEntrance{{path, Entrance{Role: testRole}}}}); err == nil {
			t.Errorf("%s was taken", path)
		}
	}
}

// cloner is a program whose threads and children are made in loops.
const cloner = "-l"

func TestRunningProcessIsTakenInWithoutAWindow(t *testing.T) {
	k := testKernel(t)
	const runs = 60
	missed := 0
	for i := range runs {
		cmd := exec.Command(attackBinary, cloner)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := cmd.Process.Pid
		if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil { // it loops
			t.Fatal(err)
		}
		start, err := StartTime(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Enroll(t.Context(), pid, start, Entrance{Role: testRole}); err != nil {
			_ = unix.Kill(-pid, unix.SIGKILL) // the loop would be jailed for ever
			t.Fatalf("run %d: %v", i, err)
		}
		all := make(map[string]bool)
		for range 3 {
			maps.Copy(all, unjailed(t, k, tasksOf(pid)))
		}
		if len(all) > 0 {
			missed++
			t.Errorf("run %d: unstamped: %v", i, all)
		}
		_ = unix.Kill(-pid, unix.SIGKILL)
		_ = cmd.Wait()
	}
	t.Logf("%d runs, %d with an unstamped thread", runs, missed)
}

// tasksOf lists the threads of a process group, as directories. All are descendants of its
// leader but those whose parent ended; attacks -l makes none of these.
func tasksOf(group int) map[string]bool {
	tasks := make(map[string]bool)
	dirs, _ := filepath.Glob("/proc/[0-9]*/task/*")
	for _, d := range dirs {
		data, err := os.ReadFile(d + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 2 && fields[2] == fmt.Sprint(group) && fields[0] != "Z" && fields[0] != "X" {
			tasks[d] = true
		}
	}
	return tasks
}

func TestEnrollRefusesWhatItMustNotTake(t *testing.T) {
	k := testKernel(t)
	try := func(pid int, start uint64) error {
		return k.Enroll(t.Context(), pid, start, Entrance{Role: testRole})
	}
	if err := try(1, 0); err == nil {
		t.Error("process 1 was taken")
	}
	start, err := StartTime(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := try(2, start); err == nil || !strings.Contains(err.Error(), "kernel thread") {
		t.Errorf("kernel thread: %v", err)
	}
	cmd := exec.Command("/bin/cat")
	end, err := startReader(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	pid := cmd.Process.Pid
	if start, err = StartTime(pid); err != nil {
		t.Fatal(err)
	}
	if err := try(pid, start+1); !errors.Is(err, Refusal(bpf.JailRefusalREFUSED_GONE)) {
		t.Errorf("another process's start time: %v", err)
	}
	if err := k.Enroll(t.Context(), pid, start, Entrance{Role: 4242}); err == nil {
		t.Error("an unknown role was entered")
	}
	if got := rolesOf(t, k, pid); len(got) != 0 {
		t.Errorf("roles %v after refusals", got)
	}
	if err := try(sharedMemory(t)); !errors.Is(err, Refusal(bpf.JailRefusalREFUSED_SHARED)) {
		t.Errorf("shared memory: %v", err)
	}
	traced, tracer := traces(t)
	if err := try(traced, startOf(t, traced)); !errors.Is(err, Refusal(bpf.JailRefusalREFUSED_TRACED)) {
		t.Errorf("traced: %v", err)
	}
	if err := try(tracer, startOf(t, tracer)); !errors.Is(err, Refusal(bpf.JailRefusalREFUSED_TRACED)) {
		t.Errorf("tracer: %v", err)
	}
	if err := try(pid, start); err != nil {
		t.Errorf("control: %v", err)
	}
	if got := rolesOf(t, k, pid); !sameRoles(got, testRole) {
		t.Errorf("roles %v", got)
	}
}

func startOf(t *testing.T, pid int) uint64 {
	t.Helper()
	start, err := StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	return start
}

// spawn starts a helper that lives until the test's end, and reads the line it prints.
func spawn(t *testing.T, argv ...string) (pid int, line string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		_ = cmd.Wait()
	})
	line, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %v", argv, err)
	}
	return cmd.Process.Pid, strings.TrimSpace(line)
}

// sharedMemory is a process whose parent has the same memory.
func sharedMemory(t *testing.T) (pid int, start uint64) {
	t.Helper()
	_, line := spawn(t, attackBinary, "-m")
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatal(err)
	}
	return pid, startOf(t, pid)
}

// traces is a process and the one that traces it.
func traces(t *testing.T) (traced, tracer int) {
	t.Helper()
	tracer, line := spawn(t, "/usr/bin/python3", "-c", `
import ctypes,os,time
libc=ctypes.CDLL(None, use_errno=True)
child=os.fork()
if not child:
    while True: time.sleep(60)
assert libc.ptrace(0x4206, child, 0, 0) == 0, ctypes.get_errno()
print(child, flush=True)
while True: time.sleep(60)`)
	if _, err := fmt.Sscan(line, &traced); err != nil {
		t.Fatal(err)
	}
	return traced, tracer
}

// TestFailedExecLeavesNothingInTheWay: the exec of a marked file that is no program stages
// its role and fails. The task can be enrolled all the same, and by a control group.
func TestFailedExecLeavesNothingInTheWay(t *testing.T) {
	k := testKernel(t)
	makeCgroup(t, "/failed")
	junk := filepath.Join(openDir(t), "junk")
	if err := os.WriteFile(junk, make([]byte, 4096), 0o755); err != nil {
		t.Fatal(err)
	}
	installWays(t, k, Ways{
		Marked:  []PathEntrance{{junk, Entrance{Role: 1}}},
		Cgroups: []PathEntrance{{"/failed", Entrance{Role: otherRole}}},
	})
	script := `
import os,sys,time
try: os.execv(sys.argv[1], ["x"])
except OSError as e: print(e.errno, flush=True)
while True: time.sleep(60)`
	for name, enter := range map[string]func(pid int) uint32{
		"enroll": func(pid int) uint32 {
			if err := k.Enroll(t.Context(), pid, startOf(t, pid), Entrance{Role: testRole}); err != nil {
				t.Error(err)
			}
			return testRole
		},
		"move": func(pid int) uint32 { move(t, pid, "/failed"); return otherRole },
	} {
		pid, errno := spawn(t, "/usr/bin/python3", "-c", script, junk)
		if errno != fmt.Sprint(int(unix.ENOEXEC)) {
			t.Errorf("%s: the exec failed with %s, want ENOEXEC", name, errno)
		}
		if got := rolesOf(t, k, pid); len(got) != 0 {
			t.Errorf("%s: control: roles %v after the failed exec", name, got)
		}
		if want := enter(pid); !sameRoles(rolesOf(t, k, pid), want) {
			t.Errorf("%s: roles %v, want %d", name, rolesOf(t, k, pid), want)
		}
	}
}

// TestMarkIsEnforcedUnderAPermissiveLauncher: --permissive is of the launcher's roles.
func TestMarkIsEnforcedUnderAPermissiveLauncher(t *testing.T) {
	k := testKernel(t)
	app := filepath.Join(openDir(t), "app")
	copyOf(t, "/bin/cat", app)
	read := func(argv ...string) string {
		out, _ := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		return string(out)
	}
	launch := []string{"/usr/bin/jail", "run", "--permissive", "--role", "restricted", "--", app, "/etc/hostname"}
	if got := read(launch...); strings.Contains(got, "denied") {
		t.Errorf("control: a permissive role denies: %s", got)
	}
	installWays(t, k, Ways{Marked: []PathEntrance{{app, Entrance{Role: 1}}}})
	if got := read(launch...); !strings.Contains(got, "denied") {
		t.Errorf("marked, under a permissive launcher: %s", got)
	}
}

// TestTablesTakeInWhatRuns: what is in a listed control group, or executes a listed file,
// when the tables are installed, all threads of it.
func TestTablesTakeInWhatRuns(t *testing.T) {
	k := testKernel(t)
	makeCgroup(t, "/runs/below")
	looping, _ := spawnLoop(t)
	move(t, looping, "/runs/below")
	app := filepath.Join(openDir(t), "app")
	copyOf(t, "/bin/cat", app)
	cmd := exec.Command(app)
	end, err := startReader(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if got := append(rolesOf(t, k, looping), rolesOf(t, k, cmd.Process.Pid)...); len(got) != 0 {
		t.Errorf("control: roles %v", got)
	}
	w := Ways{
		Execs:   []PathEntrance{{app, Entrance{Role: testRole}}},
		Cgroups: []PathEntrance{{"/runs", Entrance{Role: otherRole}}},
	}
	installWays(t, k, w)
	if errs := k.EnrollRunning(t.Context(), w); len(errs) > 0 {
		t.Error(errs)
	}
	if got := rolesOf(t, k, cmd.Process.Pid); !sameRoles(got, testRole) {
		t.Errorf("by its executable: roles %v", got)
	}
	tasks := tasksOf(looping)
	list, err := k.Subjects()
	if err != nil {
		t.Fatal(err)
	}
	jailed := make(map[string]bool)
	for _, s := range list {
		jailed[fmt.Sprint(s.TID)] = true
	}
	for task := range tasks {
		if _, err := os.Stat(task); err == nil && !jailed[filepath.Base(task)] {
			t.Errorf("%s is outside", task)
		}
	}
	// Once more: what is in already is not stacked again.
	if errs := k.EnrollRunning(t.Context(), w); len(errs) > 0 {
		t.Error(errs)
	}
	if got := rolesOf(t, k, looping); !sameRoles(got, otherRole) {
		t.Errorf("by its control group: roles %v", got)
	}
}

func spawnLoop(t *testing.T) (pid int, line string) {
	return spawn(t, "/bin/sh", "-c", "echo; exec "+attackBinary+" "+cloner)
}
