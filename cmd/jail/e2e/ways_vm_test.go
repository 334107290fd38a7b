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
	run(t, jailPath, "marks", "--restore").want(t, 0)
	run(t, jailPath, "marks", "--check").want(t, 0)
	run(t, "dpkg", "-P", "jailtest").want(t, 0)
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
