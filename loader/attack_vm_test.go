//go:build vm

package loader

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

// attackBinary holds all attacks; the Makefile builds it beside the test binary.
const attackBinary = "/attacks"

// run executes one attack, jailed in a role id or not (0), and returns its status.
func (a attack) run(t *testing.T, as string, role uint32, args []string) int {
	t.Helper()
	if a.tree {
		makeTree(t, as)
	}
	var argv []string
	if role != 0 {
		argv = append(argv, "-j", fmt.Sprint(role))
	}
	argv = append(argv, a.name)
	for _, arg := range args {
		// Pins are in a directory of their set's.
		if found, _ := filepath.Glob(arg); strings.HasPrefix(arg, Dir) && len(found) == 1 {
			arg = found[0]
		}
		argv = append(argv, arg)
	}
	cmd := exec.Command(attackBinary, argv...)
	cmd.Dir = "/tmp"
	cmd.WaitDelay = 10 * time.Second // a child that the attack left must not hold the row
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if a.descriptor != "" {
		f, err := os.Open(a.descriptor)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
	}
	if as == "user" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("%s: %v", a.name, err)
		return -1
	}
	if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() && w.Signal() == syscall.SIGKILL {
		return byKill
	}
	if code := cmd.ProcessState.ExitCode(); code < 0 || code > 199 {
		t.Logf("%s as %s %v: status %d: %s %s", a.name, as, argv, code, cmd.ProcessState, stderr.String())
	}
	return cmd.ProcessState.ExitCode()
}

// byKill is the status of an attack that ended by SIGKILL.
const byKill = -9

// TestAttacks runs every attack three times for each kind of user: outside any jail,
// on what its role allows, and in earnest.
func TestAttacks(t *testing.T) {
	data, err := attackFiles.ReadFile("testdata/attacks/roles.toml")
	if err != nil {
		t.Fatal(err)
	}
	set := roleSet(t, "roles.toml", string(data))
	attacks := readAttacks(t)
	serveDescriptors(t)
	keepReading(t)
	mountFileSystems(t)
	k := testKernel(t)
	outsideSockets(t) // first: a role's devices are those that are there
	if err := k.InstallRoles(set.Roles()); err != nil {
		t.Fatal(err)
	}
	prepareAttacks(t)
	prepareHelpers(t, set)
	release := kernelRelease(t)
	for _, a := range attacks {
		for _, as := range a.as {
			t.Run(a.name+"/"+as, func(t *testing.T) { a.judge(t, as, release, set) })
		}
	}
	for _, id := range strings.Fields(checklist) {
		if where := elsewhere[id]; where != "" {
			fmt.Printf("attack %-4s %-22s %-8s %s\n", id, "elsewhere", release, where)
		}
	}
}

// judge runs an attack the three times and prints its row.
func (a attack) judge(t *testing.T, as, release string, set *profiles.Set) {
	role, ok := set.ByName(a.role)
	if !ok {
		t.Fatalf("%s: no role %q", a.name, a.role)
	}
	jailed := a.run(t, as, role.ID, a.args)
	row := fmt.Sprintf("attack %-4s %-22s %-8s %-5s jailed=%-7s", a.id, a.name, release, as, status(jailed))
	good := jailed == int(a.expect) || a.killed && jailed == byKill
	unjailed := a.run(t, as, 0, a.args)
	good = good && unjailed == 0
	row += " unjailed=" + status(unjailed)
	if a.expect != 0 {
		controlRole, args := role, a.args
		if a.controlRole != "" {
			if controlRole, ok = set.ByName(a.controlRole); !ok {
				t.Fatalf("%s: no role %q", a.name, a.controlRole)
			}
		}
		if a.control != nil {
			args = a.control
		}
		control := a.run(t, as, controlRole.ID, args)
		good = good && control == 0
		row += " control=" + status(control)
	}
	if !good {
		t.Errorf("%s: want jailed=%s, the rest ok", row, status(int(a.expect)))
	}
	fmt.Printf("%s %s\n", row, map[bool]string{true: "pass", false: "FAIL"}[good])
}

// prepareAttacks makes what attacks are made on.
func prepareAttacks(t *testing.T) {
	t.Helper()
	for _, name := range []string{"/tmp/code", "/tmp/data"} {
		if err := os.WriteFile(name, make([]byte, 4096), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, "/tmp/jail-binary"); err != nil {
		t.Fatal(err)
	}
	id, err := unix.SysvShmGet(0x6a61, 4096, unix.IPC_CREAT|0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	for _, call := range []uintptr{unix.SYS_MSGGET, unix.SYS_SEMGET} {
		args := [3]uintptr{0x6a61, 1, unix.IPC_CREAT | 0o666}
		if call == unix.SYS_MSGGET {
			args = [3]uintptr{0x6a61, unix.IPC_CREAT | 0o666}
		}
		if _, _, errno := unix.Syscall(call, args[0], args[1], args[2]); errno != 0 {
			t.Fatal(errno)
		}
	}
	if err := os.MkdirAll("/tmp/cgroup2", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", "/tmp/cgroup2", "cgroup2", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount("/tmp/cgroup2", unix.MNT_DETACH) })
}

func status(code int) string {
	if code == 0 {
		return "ok"
	}
	if name := unix.ErrnoName(unix.Errno(code)); name != "" && code < 200 {
		return name
	}
	return fmt.Sprint(code)
}

func kernelRelease(t *testing.T) string {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.SplitN(unix.ByteSliceToString(name.Release[:]), ".", 3)[:2], ".")
}

// testKernel loads the kernel part once for the whole test binary: attaching and
// detaching in loops is what the kernel does worst.
func testKernel(t *testing.T) *Kernel {
	t.Helper()
	k, err := Load(t.Context(), Options{Roles: profiles.Builtins().Roles()})
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}
