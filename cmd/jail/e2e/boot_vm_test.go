//go:build vm

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBoot runs in a VM whose systemd found the units and the configuration of testdata/boot at
// its start: with jail-load.service alone (the suite vm-boot), or after a load before the
// root was switched (vm-initramfs, and by images that Debian's tools make: image-*). Each
// service tries one forbidden open, and nothing else.
func TestBootJailsServicesFromTheirFirstInstruction(t *testing.T) {
	initramfs := os.Getenv("SUITE") != "vm-boot"
	run(t, "systemctl", "is-active", "jail-load.service").want(t, 0)
	run(t, jailPath, "status").want(t, 0)
	exit := func(service string) string {
		return strings.TrimSpace(run(t, "systemctl", "show", "-P", "ExecMainStatus", service).stdout)
	}
	denied, allowed := strconv.Itoa(int(unix.EACCES)), "0"
	for service, want := range map[string]string{
		"boot-marked": denied,
		"boot-listed": denied,
		"boot-free":   allowed,
		// Before jail-load.service only the initramfs can have loaded.
		"boot-early": map[bool]string{true: denied, false: allowed}[initramfs],
	} {
		if got := exit(service); got != want {
			t.Errorf("%s: exit status %s, want %s\n%s", service, got, want, run(t, "systemctl", "status", "-n0", service).stdout)
		}
	}
	// What was loaded before the switch knows the new root by its own name.
	run(t, jailPath, "run", "-r", "/etc/passwd", "-x", "/usr/bin/cat", "--", "cat", "/etc/passwd").want(t, 0)
	run(t, jailPath, "run", "-r", "/etc/passwd", "-x", "/usr/bin/cat", "--", "cat", "/etc/hostname").want(t, 1, "Permission denied")
	t.Logf("jail-load.service: %s", strings.TrimSpace(run(t, "systemctl", "show", "-P", "ExecMainStartTimestampMonotonic", "-P", "ExecMainExitTimestampMonotonic", "jail-load.service").stdout))
}

// TestNothingNeedsAProcessOfOurs: with every process of jail killed who is jailed stays so, and
// all ways in work but the socket.
func TestNothingNeedsAProcessOfOurs(t *testing.T) {
	load(t)
	const marked = "/usr/local/bin/marked-cat"
	data, err := os.ReadFile("/usr/bin/cat")
	if err == nil {
		err = os.WriteFile(marked, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	run(t, jailPath, "mark", "--role", "restricted", marked).want(t, 0)
	t.Cleanup(func() {
		run(t, jailPath, "unmark", marked).want(t, 0)
		_ = os.Remove(marked)
	})
	for _, args := range [][]string{{"serve"}, {"log", "-f"}} {
		cmd := exec.Command(jailPath, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	waitFor(t, "the socket", func() bool { return exists("/run/bpfjailer/enrollment.sock") })
	shell := exec.Command(jailPath, "run", "-r", "/etc/passwd", "--", "sh", "-c", "while read name; do read -r line <$name && echo allowed || echo denied; done")
	stdin, answers := startPiped(t, shell)
	ask := func(file, want string) {
		t.Helper()
		_, _ = stdin.Write([]byte(file + "\n"))
		if got, err := answers.ReadString('\n'); err != nil || strings.TrimSpace(got) != want {
			t.Errorf("%s: %q, %v, want %s", file, got, err, want)
		}
	}
	ask("/etc/passwd", "allowed")
	ask("/etc/hostname", "denied")
	killed := 0
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		if exe, _ := os.Readlink(l); exe == jailPath {
			pid, _ := strconv.Atoi(strings.Split(l, "/")[2])
			if unix.Kill(pid, unix.SIGKILL) == nil {
				killed++
			}
		}
	}
	if killed < 2 {
		t.Fatalf("%d processes killed, want serve and log", killed)
	}
	ask("/etc/passwd", "allowed")
	ask("/etc/hostname", "denied")
	run(t, marked, "/etc/passwd").want(t, 1, "Permission denied")
	run(t, "cat", "/etc/passwd").want(t, 0)
	run(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/passwd").want(t, 1, "Permission denied")
	runAsUser(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/passwd").want(t, 1, "Permission denied")
	run(t, jailPath, "status").want(t, 0)
	if why := run(t, jailPath, "why"); !strings.Contains(why.stdout, "/etc/passwd") {
		t.Errorf("why: %s", why.stdout)
	}
	_ = stdin.Close()
	if err := shell.Wait(); err != nil {
		t.Error(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
