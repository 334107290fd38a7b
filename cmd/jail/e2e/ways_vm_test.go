//go:build vm

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jail/launcher"
)

// denied tells whether a copy of cat is refused /etc/hostname, which `restricted` refuses.
func denied(t *testing.T, program string) bool {
	t.Helper()
	r := run(t, program, "/etc/hostname")
	switch {
	case r.status == 0:
		return false
	case strings.Contains(r.stderr, "Permission denied"):
		return true
	}
	t.Fatalf("%s: status %d: %s", program, r.status, r.stderr)
	return false
}

func TestMarkListCheckRestoreUnmark(t *testing.T) {
	load(t)
	dir, err := os.MkdirTemp("/var/tmp", "mark")
	if err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(dir, "app")
	put := func(name string) {
		data, err := os.ReadFile("/bin/cat")
		if err == nil {
			err = os.WriteFile(name, data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(app)
	if denied(t, app) {
		t.Fatal("control: refused before it was marked")
	}
	run(t, jailPath, "mark", "--role", "nosuch", app).want(t, 1, "unknown role")
	run(t, jailPath, "mark", app).want(t, 1, `unknown role "app"`)
	runAsUser(t, jailPath, "mark", "--role", "restricted", app).want(t, 1, "needs root")
	run(t, jailPath, "run", "--role", "permissive", "--", jailPath, "mark", "--role", "restricted", app).want(t, 1)
	run(t, jailPath, "mark", "--role", "restricted", app).want(t, 0)
	if !denied(t, app) {
		t.Error("a marked program is not jailed")
	}
	if r := run(t, jailPath, "marks"); !strings.Contains(r.stdout, app) || !strings.Contains(r.stdout, "marked") {
		t.Errorf("marks: %s %s", r.stdout, r.stderr)
	}
	run(t, jailPath, "marks", "--check").want(t, 0)
	// What an upgrade does: another file takes the name.
	put(app + ".new")
	if err := os.Rename(app+".new", app); err != nil {
		t.Fatal(err)
	}
	if !denied(t, app) {
		t.Error("replaced: not jailed")
	}
	if r := run(t, jailPath, "marks", "--check"); r.status != 1 || !strings.Contains(r.stdout, "lost") {
		t.Errorf("marks --check after a replacement: %d %s %s", r.status, r.stdout, r.stderr)
	}
	run(t, jailPath, "marks", "--restore", "--check").want(t, 0)
	// With the table alone and with the path alone: a hard link is another path.
	if err := os.Link(app, app+".link"); err != nil {
		t.Fatal(err)
	}
	if !denied(t, app+".link") {
		t.Error("hard link of a restored mark: not jailed")
	}
	// Across unload and load, as across a reboot.
	run(t, jailPath, "unload").want(t, 0)
	// The door is closed first, and the kernel lets go of programs a little later: until
	// then the exec of what is marked is refused.
	waitFor(t, "the last program to be gone", func() bool { return exec.Command(app, "/etc/hostname").Run() == nil })
	load(t)
	if !denied(t, app) || !denied(t, app+".link") {
		t.Error("not jailed after a load")
	}
	run(t, jailPath, "unmark", app).want(t, 0)
	if denied(t, app) || denied(t, app+".link") {
		t.Error("jailed after unmark")
	}
	run(t, jailPath, "unmark", filepath.Join(dir, "no")).want(t, 1)
}

// TestDpkgUpgradeKeepsTheMark builds two versions of a package and installs one over the other.
func TestDpkgUpgradeKeepsTheMark(t *testing.T) {
	load(t)
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Fatal("this root has no dpkg-deb")
	}
	dir := t.TempDir()
	build := func(version string) string {
		root := filepath.Join(dir, version)
		data, err := os.ReadFile("/bin/cat")
		if err != nil {
			t.Fatal(err)
		}
		control := fmt.Sprintf("Package: jailtest\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody <n@example.org>\nDescription: test\n", version)
		if err := errors.Join(os.MkdirAll(root+"/DEBIAN", 0o755), os.MkdirAll(root+"/usr/bin", 0o755),
			os.Chmod(root, 0o755), os.WriteFile(root+"/DEBIAN/control", []byte(control), 0o644),
			os.WriteFile(root+"/usr/bin/jailtest", data, 0o755)); err != nil {
			t.Fatal(err)
		}
		run(t, "dpkg-deb", "--build", root, root+".deb").want(t, 0)
		return root + ".deb"
	}
	first, second := build("1"), build("2")
	run(t, "dpkg", "-i", first).want(t, 0)
	run(t, jailPath, "mark", "--role", "restricted", "/usr/bin/jailtest").want(t, 0)
	var before, after unix.Stat_t
	_ = unix.Stat("/usr/bin/jailtest", &before)
	if !denied(t, "/usr/bin/jailtest") {
		t.Error("not jailed before the upgrade")
	}
	run(t, "dpkg", "-i", second).want(t, 0)
	if _ = unix.Stat("/usr/bin/jailtest", &after); after.Ino == before.Ino {
		t.Error("the upgrade did not replace the file")
	}
	if !denied(t, "/usr/bin/jailtest") {
		t.Error("not jailed after the upgrade")
	}
	run(t, jailPath, "marks", "--check").want(t, 1)
	// With the hook that make install puts there, dpkg itself restores the mark.
	const hook = "/etc/dpkg/dpkg.cfg.d/jail"
	run(t, "install", "-D", "-m", "644", "/usr/share/jail/dpkg.cfg", hook).want(t, 0)
	t.Cleanup(func() { _ = os.Remove(hook) })
	run(t, "dpkg", "-i", first).want(t, 0)
	run(t, jailPath, "marks", "--check").want(t, 0)
	if err := os.Link("/usr/bin/jailtest", "/usr/bin/jailtest2"); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/usr/bin/jailtest2")
	if !denied(t, "/usr/bin/jailtest2") {
		t.Error("another name of the upgraded program is not jailed: the hook restored no mark")
	}
	run(t, "dpkg", "-P", "jailtest").want(t, 0)
	run(t, jailPath, "unmark", "/usr/bin/jailtest").want(t, 0)
	// What goes wrong in the hook is told and does not fail dpkg.
	record, err := os.ReadFile(launcher.MarksFile)
	if err == nil {
		err = os.WriteFile(launcher.MarksFile, []byte("junk"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, "dpkg", "-i", first)
	r.want(t, 0, "could not be restored")
	if err := os.WriteFile(launcher.MarksFile, record, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "dpkg", "-P", "jailtest").want(t, 0)
}

// TestRpmUpgradeKeepsTheMark is the same with rpm, whose hook is a package.
func TestRpmUpgradeKeepsTheMark(t *testing.T) {
	load(t)
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		t.Fatal("this root has no rpmbuild")
	}
	dir := t.TempDir()
	build := func(spec, name string) string {
		t.Helper()
		run(t, "rpmbuild", "--quiet", "-D", "_topdir "+dir, "-bb", spec).want(t, 0)
		files, _ := filepath.Glob(dir + "/RPMS/*/" + name + "-1.*.rpm")
		if len(files) != 1 {
			t.Fatalf("%s: %v", spec, files)
		}
		return files[0]
	}
	version := func(n int) string {
		spec := filepath.Join(dir, fmt.Sprintf("jailtest%d.spec", n))
		text := fmt.Sprintf(`Name: jailtest
Version: %d
Release: 1
Summary: test
License: MIT
AutoReqProv: no
%%global debug_package %%{nil}
%%global __os_install_post %%{nil}
%%description
test
%%install
install -D /bin/cat %%{buildroot}/usr/bin/jailtest
%%files
/usr/bin/jailtest
`, n)
		if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return build(spec, fmt.Sprintf("jailtest-%d", n))
	}
	install := func(file string) {
		t.Helper()
		run(t, "rpm", "--force-debian", "--nodeps", "-U", file).want(t, 0)
	}
	first, second, third := version(1), version(2), version(3)
	install(first)
	run(t, jailPath, "mark", "--role", "restricted", "/usr/bin/jailtest").want(t, 0)
	install(second)
	if !denied(t, "/usr/bin/jailtest") {
		t.Error("not jailed after the upgrade")
	}
	run(t, jailPath, "marks", "--check").want(t, 1) // the control
	install(build("/usr/share/jail/jail-hook.spec", "jail-hook-1"))
	install(third)
	run(t, jailPath, "marks", "--check").want(t, 0)
	if err := os.Link("/usr/bin/jailtest", "/usr/bin/jailtest2"); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/usr/bin/jailtest2")
	if !denied(t, "/usr/bin/jailtest2") {
		t.Error("another name of the upgraded program is not jailed: the hook restored no mark")
	}
	run(t, "rpm", "--force-debian", "-e", "jailtest", "jail-hook").want(t, 0)
	run(t, jailPath, "unmark", "/usr/bin/jailtest").want(t, 0)
}

func TestConfiguredEntriesHoldAfterReload(t *testing.T) {
	load(t)
	const config = "/etc/jail/jail.toml"
	app := "/var/tmp/listed"
	data, err := os.ReadFile("/bin/cat")
	if err == nil {
		err = errors.Join(os.MkdirAll("/etc/jail", 0o755), os.WriteFile(app, data, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(app)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close(); _ = cmd.Wait() }()
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = os.Remove(config)
		run(t, jailPath, "reload").want(t, 0)
	})
	write("[[enroll]]\nexec = \"" + app + "\"\nrole = \"nosuch\"\n")
	run(t, jailPath, "reload").want(t, 1, "/etc/jail/jail.toml:1:", "nosuch")
	write("[[enroll]]\nexec = \"" + app + "\"\nrole = \"restricted\"\n[[enroll]]\nexec = \"/usr/bin/absent\"\nrole = \"worker\"\n")
	run(t, jailPath, "reload").want(t, 0, "/usr/bin/absent is not there")
	if !denied(t, app) {
		t.Error("a listed program is not jailed")
	}
	found := false
	for _, s := range subjects(t) {
		found = found || s["pid"] == float64(cmd.Process.Pid)
	}
	if !found {
		t.Errorf("the one that was running stays outside: %v", subjects(t))
	}
}

func TestEnrollTakesARunningProcessIn(t *testing.T) {
	load(t)
	cmd := exec.Command("sh", "-c", "read x; cat /etc/hostname")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := fmt.Sprint(cmd.Process.Pid)
	runAsUser(t, jailPath, "enroll", "--role", "restricted", pid).want(t, 1, "needs root")
	run(t, jailPath, "enroll", "--role", "restricted", "1").want(t, 1, "process 1")
	run(t, jailPath, "enroll", "--role", "restricted", "2").want(t, 1, "kernel thread")
	run(t, jailPath, "enroll", "--role", "restricted", "99999999").want(t, 1, "no such process")
	run(t, jailPath, "run", "--role", "permissive", "--", jailPath, "enroll", "--role", "restricted", pid).want(t, 1)
	run(t, jailPath, "enroll", "--role", "restricted", pid).want(t, 0)
	_, _ = stdin.Write([]byte("\n"))
	_ = stdin.Close()
	if err := cmd.Wait(); err == nil || !strings.Contains(stderr.String(), "ermission denied") {
		t.Errorf("after enroll: %v: %s", err, stderr.String())
	}
}

// TestSystemd runs in a VM with systemd as process 1: a service by its control group, which
// systemd removes and makes again at every restart, and one by its marked program.
func TestSystemdServicesAreJailedAtEveryStart(t *testing.T) {
	load(t)
	const config = "/etc/jail/jail.toml"
	data, err := os.ReadFile("/usr/bin/sleep")
	if err == nil {
		err = errors.Join(os.MkdirAll("/etc/jail", 0o755), os.WriteFile("/usr/local/bin/marked", data, 0o755))
	}
	for name, command := range map[string]string{"listed": "/usr/bin/sleep", "marked": "/usr/local/bin/marked", "free": "/usr/bin/sleep"} {
		unit := "[Service]\nExecStart=" + command + " 1000000\nTimeoutStopSec=5\n"
		err = errors.Join(err, os.WriteFile("/run/systemd/system/test-"+name+".service", []byte(unit), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	run(t, "systemctl", "daemon-reload").want(t, 0)
	rolesOf := func(name string) string {
		pid := strings.TrimSpace(run(t, "systemctl", "show", "-P", "MainPID", "test-"+name).stdout)
		// the service is active before its process executed the program
		waitFor(t, "the exec", func() bool {
			exe, _ := os.Readlink("/proc/" + pid + "/exe")
			return exe == "/usr/bin/sleep" || exe == "/usr/local/bin/marked"
		})
		for _, s := range subjects(t) {
			if fmt.Sprint(s["pid"]) == pid {
				return fmt.Sprint(s["roles"])
			}
		}
		return "none"
	}
	expect := func(when, name, want string) {
		t.Helper()
		if got := rolesOf(name); !strings.Contains(got, want) {
			t.Errorf("%s, %s: roles %s, want %s", when, name, got, want)
		}
	}
	run(t, "systemctl", "start", "test-listed", "test-marked", "test-free").want(t, 0)
	for _, name := range []string{"listed", "marked", "free"} {
		expect("control", name, "none")
	}
	if err := os.WriteFile(config, []byte("[[enroll]]\ncgroup = \"/system.slice/test-listed.service\"\nrole = \"isolated\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		run(t, "systemctl", "stop", "test-listed", "test-marked", "test-free").want(t, 0)
		_ = os.Remove(config)
		run(t, jailPath, "unmark", "/usr/local/bin/marked").want(t, 0)
		run(t, jailPath, "reload").want(t, 0)
	})
	run(t, jailPath, "mark", "--role", "worker", "/usr/local/bin/marked").want(t, 0)
	run(t, jailPath, "reload").want(t, 0)
	expect("it ran before it was listed", "listed", "isolated")
	expect("it ran before it was marked", "marked", "worker")
	for _, when := range []string{"first restart", "second restart"} {
		run(t, "systemctl", "restart", "test-listed", "test-marked", "test-free").want(t, 0)
		expect(when, "listed", "isolated")
		expect(when, "marked", "worker")
		expect(when, "free", "none")
	}
	run(t, "systemctl", "stop", "test-listed").want(t, 0)
	waitFor(t, "the removal of the control group", func() bool {
		_, err := os.Stat("/sys/fs/cgroup/system.slice/test-listed.service")
		return errors.Is(err, os.ErrNotExist)
	})
	run(t, "systemctl", "start", "test-listed").want(t, 0)
	expect("control group made again", "listed", "isolated")
}

// TestSystemdCronAndSSHStartMarkedFilesJailed: neither is started from a jail, and neither knows of any.
func TestSystemdCronAndSSHStartMarkedFilesJailed(t *testing.T) {
	load(t)
	marked, free := markedCat(t, "T55"), "/var/tmp/T55/free"
	run(t, "install", "-m", "755", "/bin/cat", free).want(t, 0)
	judge := func(how, program string, status int, text string) {
		t.Helper()
		jailed := program == marked
		if denied := strings.Contains(text, "Permission denied"); jailed != denied || jailed != (status != 0) {
			t.Errorf("%s, %s: status %d: %s", how, program, status, text)
		}
	}
	t.Run("cron", func(t *testing.T) {
		const table = "/etc/cron.d/t55"
		text := ""
		for _, program := range []string{marked, free} {
			text += fmt.Sprintf("@reboot root %[1]s /etc/hostname >%[1]s.txt 2>&1; echo $? >%[1]s.status\n", program)
		}
		if err := os.WriteFile(table, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(table)
		defer run(t, "systemctl", "stop", "cron")
		_ = os.Remove("/run/crond.reboot") // cron runs such lines once per boot
		run(t, "systemctl", "start", "cron").want(t, 0)
		for _, program := range []string{marked, free} {
			status := -1
			waitFor(t, "the line of "+program, func() bool {
				data, _ := os.ReadFile(program + ".status")
				n, _ := fmt.Sscan(string(data), &status)
				return n == 1
			})
			output, _ := os.ReadFile(program + ".txt")
			judge("cron", program, status, string(output))
		}
	})
	t.Run("sshd", func(t *testing.T) {
		key := filepath.Join(t.TempDir(), "key")
		run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).want(t, 0)
		run(t, "install", "-D", "-m", "600", key+".pub", "/root/.ssh/authorized_keys").want(t, 0)
		defer os.Remove("/root/.ssh/authorized_keys")
		run(t, "systemctl", "start", "ssh").want(t, 0)
		defer run(t, "systemctl", "stop", "ssh")
		for _, program := range []string{marked, free} {
			r := run(t, "ssh", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
				"-o", "LogLevel=ERROR", "root@127.0.0.1", program, "/etc/hostname")
			judge("sshd", program, r.status, r.stdout+r.stderr)
		}
	})
}

// TestSystemdStartsTheSocket is the pair of units as they are installed.
func TestSystemdStartsTheSocket(t *testing.T) {
	load(t)
	run(t, "systemctl", "start", "jail-enroll.socket").want(t, 0)
	if got := python(t, runAsUser, `print(ask({"Enroll": {"pod_id": 0, "role_id": 5}}))`); got != "Success" {
		t.Errorf("answer %s", got)
	}
	if got := strings.TrimSpace(run(t, "systemctl", "is-active", "jail-enroll.service").stdout); got != "active" {
		t.Errorf("the service is %s", got)
	}
	run(t, "systemctl", "stop", "jail-enroll.socket", "jail-enroll.service").want(t, 0)
}
