package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"jail/scripts"
)

var kernels = flag.String("kernels", "", "boot machines with these `KERNELS`: names with commas, or all")

// vmBinary builds the program; it is static whatever the machine's settings are.
func vmBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vm")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// A bootCase boots one machine. The script runs with busybox, or with bash if flags have -root.
type bootCase struct {
	name, flags, script string
	status              int
	stdout              string // exact; "" for anything
	stdoutHas           string
	stderrHas           string
}

var bootCases = []bootCase{
	{name: "status 0", script: "echo out; echo err >&2", stdout: "out\nerr\n"},
	{name: "status 7", script: "exit 7", status: 7},
	{name: "killed", script: "kill -9 $$", status: 128 + 9},
	{name: "arguments and environment", flags: "-env A=b=c", script: `echo "$A" "$1" "$#"`, stdout: "b=c one arg 2\n"},
	{
		name: "panic", script: "echo before; sleep 0.1; echo c >/proc/sysrq-trigger",
		status: statusLost, stdout: "before\n", stderrHas: "its kernel panicked",
	},
	{name: "panic is told", script: "echo c >/proc/sysrq-trigger", status: statusLost, stderrHas: "Kernel panic - not syncing"},
	{name: "power-off", script: "echo bye; poweroff -f", status: statusLost, stdout: "bye\n", stderrHas: "it ended before the command did"},
	{name: "timeout", flags: "-timeout 6s", script: "sleep 1000", status: statusLost, stderrHas: "timeout after 6s"},
	{name: "all output", script: "seq 100000; exit 3", status: 3, stdout: seq(100000)},
	{name: "output through /dev/stdout", script: "echo a >/dev/stdout; echo b | tee /dev/stderr", stdout: "a\nb\nb\n"},
	{name: "a daemon does not keep it", script: "sleep 1000 & echo done", stdout: "done\n"},
	{name: "marker in the output", script: `echo '{"Status":0}'; exit 5`, status: 5},
	{name: "kernel warning is told", script: "echo 512 >/proc/sys/kernel/tainted", stderrHas: "warning (WARN)"},
	{name: "bpf is on", script: "cat /sys/kernel/security/lsm", stdoutHas: "bpf"},
	{
		name: "bpf can be off", flags: "-lsm capability,landlock",
		script: "case $(cat /sys/kernel/security/lsm) in *bpf*) exit 1; esac",
	},
	{
		name: "mounts", script: "cut -d' ' -f2,3 /proc/mounts",
		stdoutHas: "/sys/fs/cgroup cgroup2\n/sys/kernel/security securityfs\n/sys/fs/bpf bpf\n/sys/kernel/tracing tracefs\n",
	},
	{name: "loopback", script: "ping -c 1 -W 5 127.0.0.1"},
	{
		name: "modules", flags: "-modules overlay,btrfs,fuse,sctp,vsock,tun,loop,squashfs",
		script: "for f in overlay btrfs fuse squashfs; do grep -w $f /proc/filesystems || exit 1; done; grep SCTP /proc/net/protocols",
	},
	{name: "instruction count", flags: "-icount", script: "nproc", stdout: "1\n"},
	{
		name: "root", flags: "-root",
		script: `set -e; findmnt -no SOURCE,FSTYPE /; sudo -u user bwrap --unshare-all --ro-bind / / true; touch /x
			python3 -c 'print(6*7)'; test -x /usr/sbin/nginx; test -x /usr/bin/redis-server; chattr +i /x; exit 9`,
		status: 9, stdout: "/dev/vda ext4\n42\n",
	},
	{name: "root is thrown away", flags: "-root", script: "test ! -e /x"},
	{name: "systemd", flags: "-systemd", script: "systemctl is-system-running; cat /proc/1/comm; exit 6", status: 6, stdout: "running\nsystemd\n"},
}

func seq(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i+1)
	}
	return b.String()
}

// TestBoot boots a machine for each case on each kernel asked for by the flag -kernels.
func TestBoot(t *testing.T) {
	if *kernels == "" {
		t.Skip("no machines booted: run 'go test ./scripts/vm -kernels all'")
	}
	names := strings.Split(*kernels, ",")
	if *kernels == "all" {
		names = nil
		for _, f := range table(scripts.Kernels) {
			names = append(names, f[0])
		}
	}
	vm := vmBinary(t)
	for _, kernel := range names {
		t.Run(kernel, func(t *testing.T) {
			for _, c := range bootCases {
				t.Run(c.name, func(t *testing.T) { c.run(t, vm, kernel) })
			}
			t.Run("files in and out", func(t *testing.T) { testFiles(t, vm, kernel) })
			t.Run("shell", func(t *testing.T) { testShell(t, vm, kernel) })
		})
	}
}

func (c bootCase) run(t *testing.T, vm, kernel string) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run", "-v", "-kernel", kernel}, strings.Fields(c.flags)...)
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(vm, append(args, "--", script, "one arg", "two")...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if have := cmd.ProcessState.ExitCode(); have != c.status {
		t.Errorf("status: have %d, want %d", have, c.status)
	}
	if c.stdout != "" && stdout.String() != c.stdout {
		t.Errorf("output: have %d bytes, want %d", stdout.Len(), len(c.stdout))
	}
	if !strings.Contains(stdout.String(), c.stdoutHas) {
		t.Errorf("output lacks %q", c.stdoutHas)
	}
	if !strings.Contains(stderr.String(), c.stderrHas) {
		t.Errorf("messages lack %q", c.stderrHas)
	}
	if t.Failed() {
		t.Logf("output:\n%.2000s", &stdout)
		t.Logf("messages:\n%.4000s", &stderr)
	} else if _, told, ok := strings.Cut(stderr.String(), "command started "); ok {
		t.Logf("command started %s", strings.TrimSpace(told))
	}
}

func testFiles(t *testing.T, vm, kernel string) {
	dir := t.TempDir()
	in := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := os.WriteFile(dir+"/in", in, 0o640); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(vm, "run", "-kernel", kernel, "-root", "-file", dir+"=/srv/data", "-out", dir+"/out", "-in", "--",
		"sh", "-c", "mkdir out/sub && cp /srv/data/in out/sub/copy && stat -c %a /srv/data/in")
	text, err := cmd.CombinedOutput()
	if err != nil || string(text) != "640\n" {
		t.Fatalf("%v\n%s", err, text)
	}
	if back, err := os.ReadFile(dir + "/out/sub/copy"); err != nil || !bytes.Equal(back, in) {
		t.Errorf("%v, %d bytes of %d came back", err, len(back), len(in))
	}
}

// testShell types into a shell: its terminal has our size, Ctrl-C reaches what runs in it.
func testShell(t *testing.T, vm, kernel string) {
	master, slave := openPty(t, winsize{Rows: 33, Cols: 111})
	cmd := exec.Command(vm, "shell", "-kernel", kernel)
	cmd.Env = append(os.Environ(), "TERM=dumb")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var seen []byte
	expect := func(text string) {
		t.Helper()
		if err := master.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		for !bytes.Contains(seen, []byte(text)) {
			n, err := master.Read(buf)
			seen = append(seen, buf[:n]...)
			if err != nil {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				t.Fatalf("%v while waiting for %q in %q", err, text, seen)
			}
		}
		_, seen, _ = bytes.Cut(seen, []byte(text))
	}
	enter := func(text string) {
		if _, err := master.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	expect("# ")
	enter("stty size\r")
	expect("33 111")
	expect("# ")
	enter("echo slee''ping; sleep 1000\r")
	expect("sleeping")
	time.Sleep(300 * time.Millisecond)
	enter("\x03")
	expect("# ")
	enter("exit 4\r")
	go func() { // keep the terminal empty
		buf := make([]byte, 4096)
		for {
			if _, err := master.Read(buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
		}
	}()
	_ = cmd.Wait()
	if have := cmd.ProcessState.ExitCode(); have != 4 {
		t.Errorf("status: have %d, want 4", have)
	}
}

func openPty(t *testing.T, size winsize) (master, slave *os.File) {
	t.Helper()
	fd, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var n, unlock int32
	for request, arg := range map[uintptr]unsafe.Pointer{
		syscall.TIOCSPTLCK: unsafe.Pointer(&unlock), syscall.TIOCGPTN: unsafe.Pointer(&n), syscall.TIOCSWINSZ: unsafe.Pointer(&size),
	} {
		if err := ioctl(uintptr(fd), request, arg); err != nil {
			t.Fatal(err)
		}
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { master.Close() })
	return master, slave
}
