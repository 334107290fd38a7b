//go:build vm

package e2e

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests of this file run the installed program in a VM, as a person would.

const jailPath = "/usr/bin/jail"

// result is what a command left behind.
type result struct {
	stdout, stderr string
	status         int
	signal         syscall.Signal
}

// run executes a command as root.
func run(t *testing.T, name string, args ...string) result {
	t.Helper()
	return runCommand(t, exec.Command(name, args...))
}

// runAsUser executes a command as the ordinary user.
func runAsUser(t *testing.T, name string, args ...string) result {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	cmd.Env = append(os.Environ(), "HOME=/home/user", "USER=user")
	return runCommand(t, cmd)
}

func runCommand(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if cmd.Dir == "" {
		cmd.Dir = "/tmp"
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return result{stdout.String(), stderr.String(), ws.ExitStatus(), ws.Signal()}
}

// want fails the test unless the status is as given and each text is in stderr.
func (r result) want(t *testing.T, status int, inStderr ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d\nstdout: %s\nstderr: %s", r.status, status, r.stdout, r.stderr)
	}
	for _, text := range inStderr {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("stderr lacks %q: %s", text, r.stderr)
		}
	}
}

// load: the kernel part is loaded, with the configuration of the latest load or reload.
func load(t *testing.T) {
	t.Helper()
	begin.Do(func() { unloadForTest(t) })
	if links, _ := filepath.Glob("/sys/fs/bpf/jail/links/*/*"); len(links) == 0 {
		run(t, jailPath, "load").want(t, 0)
	}
}

// begin: what tests of another binary loaded has their roles, and holds their events.
var begin sync.Once

func subjects(t *testing.T) []map[string]any {
	t.Helper()
	r := run(t, jailPath, "ps", "--json")
	r.want(t, 0)
	var list []map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
		t.Fatalf("ps --json: %v: %s", err, r.stdout)
	}
	return list
}

// startPiped starts a command that is talked to.
func startPiped(t *testing.T, cmd *exec.Cmd) (io.WriteCloser, *bufio.Reader) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return stdin, bufio.NewReader(stdout)
}

// waitFor polls until the condition holds.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range 300 {
		if condition() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}

func TestRestrictedCatEndsInCatsOwnMessage(t *testing.T) {
	load(t)
	run(t, "cat", "/etc/passwd").want(t, 0)
	run(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/passwd").want(t, 1, "cat: /etc/passwd: Permission denied")
	r := run(t, jailPath, "run", "--role", "restricted", "--", "cat", "/proc/self/status")
	r.want(t, 0)
	if !strings.Contains(r.stdout, "Name:\tcat") {
		t.Errorf("the allowed file was not read: %s", r.stdout)
	}
	runAsUser(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/passwd").want(t, 1, "cat: /etc/passwd: Permission denied")
}

func TestRestrictedRunsDynamicPrograms(t *testing.T) {
	load(t)
	for _, argv := range [][]string{
		{"/bin/true"}, {"bash", "-c", ":"}, {"python3", "-S", "-E", "-c", "pass"}, {"date"}, {"perl", "-e", "1"},
	} {
		if _, err := exec.LookPath(argv[0]); err != nil {
			continue
		}
		r := run(t, jailPath, append([]string{"run", "--role", "restricted", "--"}, argv...)...)
		if strings.Contains(r.stderr, "shared librar") || r.status == 125 || r.status == 126 {
			t.Errorf("%v did not start: %d %s", argv, r.status, r.stderr)
		}
	}
}

func TestNginxServesUnderWebserver(t *testing.T) {
	load(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`user www-data; pid %[1]s/pid; error_log %[1]s/error.log;
events {} http { access_log off; server { listen 8080; root %[1]s; } }`, dir)
	if err := errors.Join(os.WriteFile(conf, []byte(text), 0o644),
		os.WriteFile(filepath.Join(dir, "index.html"), []byte("jailed page"), 0o644),
		os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(jailPath, "run", "--role", "webserver", "--pod", "77", "--", "nginx", "-c", conf, "-g", "daemon off;")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("nginx: %v: %s", err, stderr.String())
		}
	}()
	get := func() (string, error) {
		resp, err := http.Get("http://127.0.0.1:8080/")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		return string(data), err
	}
	waitFor(t, "a page from nginx", func() bool { _, err := get(); return err == nil })
	for i := range 1000 {
		if page, err := get(); err != nil || page != "jailed page" {
			t.Fatalf("request %d: %q, %v", i, page, err)
		}
	}
	found := 0
	for _, s := range subjects(t) {
		if s["command"] == "nginx" && s["pod"] == float64(77) && fmt.Sprint(s["roles"]) == "[webserver]" {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d nginx processes in pod 77, want master and worker: %v", found, subjects(t))
	}
	if log, _ := os.ReadFile(filepath.Join(dir, "error.log")); bytes.Contains(log, []byte("ermission denied")) {
		t.Errorf("nginx was refused something: %s", log)
	}
}

func TestRunGivesTheCommandsOwnStatus(t *testing.T) {
	load(t)
	for _, as := range []func(*testing.T, string, ...string) result{run, runAsUser} {
		as(t, jailPath, "run", "--role", "worker", "--", "sh", "-c", "exit 7").want(t, 7)
		if r := as(t, jailPath, "run", "--role", "worker", "--", "sh", "-c", "kill -TERM $$"); r.signal != unix.SIGTERM {
			t.Errorf("ended by %v, want the command's own SIGTERM", r.signal)
		}
		as(t, jailPath, "run", "--role", "worker", "--", "no-such-command").want(t, 127, "no-such-command: command not found")
		as(t, jailPath, "run", "--role", "worker", "--", "/etc/hostname").want(t, 126, "/etc/hostname")
		as(t, jailPath, "run", "--role", "worker", "--", "/tmp").want(t, 126)
		as(t, jailPath, "run", "--role", "nosuch", "--", "true").want(t, 125, "nosuch")
		as(t, jailPath, "run", "--no-such-option", "--", "true").want(t, 125)
		as(t, jailPath, "run", "--", "true").want(t, 125, "no role")
	}
}

func TestStackedRolesMustAllAllow(t *testing.T) {
	load(t)
	connect := func(port string, roles ...string) string {
		args := []string{"run"}
		for _, r := range roles {
			args = append(args, "--role", r)
		}
		args = append(args, "--", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port)
		return run(t, jailPath, args...).stderr
	}
	if got := connect("443", "worker"); !strings.Contains(got, "refused") {
		t.Errorf("worker may connect to 443: %s", got)
	}
	if got := connect("80", "webserver"); !strings.Contains(got, "refused") {
		t.Errorf("webserver may connect to 80: %s", got)
	}
	if got := connect("80", "webserver", "worker"); !strings.Contains(got, "ermission denied") {
		t.Errorf("worker forbids 80 whatever webserver says: %s", got)
	}
	if got := connect("443", "webserver", "worker"); !strings.Contains(got, "refused") {
		t.Errorf("both allow 443: %s", got)
	}
}

func TestNestingEndsAtEightRoles(t *testing.T) {
	load(t)
	nested := []string{"true"}
	for range 8 {
		nested = append([]string{jailPath, "run", "--role", "permissive", "--"}, nested...)
	}
	run(t, nested[0], nested[1:]...).want(t, 0)
	nested = append([]string{jailPath, "run", "--role", "permissive", "--"}, nested...)
	run(t, nested[0], nested[1:]...).want(t, 125, "8 roles")
}

func TestArgumentsAndEnvironmentArriveToTheByte(t *testing.T) {
	load(t)
	args := []string{"", " ", "a b", "new\nline", "\xff\xfe", "--role", "-x", strings.Repeat("y", 100_000)}
	cmd := exec.Command(jailPath, append([]string{"run", "--role", "worker", "--", "/usr/bin/printf", `%s\0`}, args...)...)
	r := runCommand(t, cmd)
	r.want(t, 0)
	if want := strings.Join(args, "\x00") + "\x00"; r.stdout != want {
		t.Errorf("arguments changed: %.200q", r.stdout)
	}
	env := []string{"A=1", "A=2", "NOVALUE", "X= spaced ", "Y=\xff", "LD_LIBRARY_PATH=", "GODEBUG=gctrace=0"}
	cmd = exec.Command(jailPath, "run", "--role", "worker", "--", "/usr/bin/cat", "/proc/self/environ")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	path, argv := cmd.Path, cmd.Args
	if got, want := rawEnv(t, path, argv, env), strings.Join(env, "\x00")+"\x00"; got != want {
		t.Errorf("environment %q, want %q", got, want)
	}
}

// rawEnv runs a program with an environment that os/exec would clean up.
func rawEnv(t *testing.T, path string, argv, env []string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: env, Files: []uintptr{0, w.Fd(), 2}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var ws syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &ws, 0, nil)
	return string(data)
}

func TestOnlyStandardDescriptorsArrive(t *testing.T) {
	load(t)
	list := func(args ...string) string {
		f, err := os.Open("/etc/passwd")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := exec.Command(jailPath, append(append([]string{"run", "--role", "worker"}, args...), "--", "sh", "-c", "echo /proc/self/fd/*")...)
		cmd.ExtraFiles = []*os.File{f, f}
		return strings.TrimSpace(runCommand(t, cmd).stdout)
	}
	// sh's own glob opens one more while it reads the directory
	if got := list(); strings.Contains(got, "/4") {
		t.Errorf("descriptors leaked: %s", got)
	}
	if got := list("--keep-fd", "4"); !strings.Contains(got, "fd/4") {
		t.Errorf("descriptor 4 was not kept: %s", got)
	}
}

func TestLimitOfOpenFilesArrivesUnchanged(t *testing.T) {
	load(t)
	r := run(t, "sh", "-c", "ulimit -Sn 777; exec jail run --role worker -- sh -c 'ulimit -Sn'")
	if r.want(t, 0); strings.TrimSpace(r.stdout) != "777" {
		t.Errorf("limit %q, want 777", r.stdout)
	}
}

func TestFailedExecLeavesNothingArmed(t *testing.T) {
	load(t)
	// A binary whose interpreter is missing passes the first hooks and then fails.
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, jailPath, "run", "--role", "isolated", "--", file).want(t, 126, file)
	if n := len(subjects(t)); n != 0 {
		t.Errorf("%d subjects left", n)
	}
	if got := mapEntries(t, "domains"); got != 0 {
		t.Errorf("%d domains left", got)
	}
}

func TestUserEntersByPrctlAndGainsNothing(t *testing.T) {
	load(t)
	r := runAsUser(t, jailPath, "run", "--role", "worker", "--", "grep", "-E", "NoNewPrivs|CapEff|Uid", "/proc/self/status")
	r.want(t, 0)
	for _, want := range []string{"NoNewPrivs:\t1", "CapEff:\t0000000000000000", "Uid:\t1000\t1000\t1000\t1000"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("lacks %q: %s", want, r.stdout)
		}
	}
	runAsUser(t, jailPath, "ps").want(t, 1, "root")
	runAsUser(t, jailPath, "unload").want(t, 1, "root")
}

func TestThousandStartsHalfKilledLeaveNothing(t *testing.T) {
	load(t)
	before := mapEntries(t, "domains")
	const starts, atOnce = 1000, 50
	var wait sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range starts {
		slots <- struct{}{}
		cmd := exec.Command(jailPath, "run", "--role", "isolated", "--", "/bin/true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			if i%2 == 0 {
				time.Sleep(time.Duration(i%40) * time.Millisecond)
				_ = cmd.Process.Kill()
			}
			err := cmd.Wait()
			if i%2 == 1 && err != nil {
				t.Errorf("start %d: %v", i, err)
			}
			<-slots
		}()
	}
	wait.Wait()
	waitFor(t, "the last subject's end", func() bool { return len(subjects(t)) == 0 })
	waitFor(t, "empty maps", func() bool { return mapEntries(t, "domains") == before && mapEntries(t, "pods") == before })
}

// mapEntries counts what a pinned hash map holds, by a program of its own.
func mapEntries(t *testing.T, name string) int {
	t.Helper()
	pins, _ := filepath.Glob("/sys/fs/bpf/jail/maps/*/" + name)
	if len(pins) != 1 {
		t.Fatalf("pins of map %s: %v", name, pins)
	}
	n, err := countPinned(pins[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUnloadRefusesWhileSubjectsLive(t *testing.T) {
	load(t)
	cmd := exec.Command(jailPath, "run", "--role", "isolated", "--", "sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	waitFor(t, "the subject", func() bool { return len(subjects(t)) == 1 })
	run(t, jailPath, "unload").want(t, 1, "still jailed")
	run(t, jailPath, "status").want(t, 0)
	run(t, jailPath, "run", "--role", "permissive", "--", jailPath, "unload").want(t, 1)
	run(t, jailPath, "status").want(t, 0)
}

func TestUserWithoutLoadedProgramsRunsNothing(t *testing.T) {
	unloadForTest(t)
	marker := "/tmp/ran"
	runAsUser(t, jailPath, "run", "--role", "isolated", "--", "touch", marker).want(t, 125, "not loaded")
	if _, err := os.Stat(marker); err == nil {
		t.Error("the command ran unjailed")
	}
	run(t, jailPath, "status").want(t, 1)
	// root loads on its own
	run(t, jailPath, "run", "--role", "isolated", "--", "true").want(t, 0)
	run(t, jailPath, "status").want(t, 0)
}

func TestWithoutBPFFSNothingRuns(t *testing.T) {
	unloadForTest(t)
	if err := unix.Unmount("/sys/fs/bpf", 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700"); err != nil {
			t.Fatal(err)
		}
	}()
	marker := filepath.Join(t.TempDir(), "ran")
	run(t, jailPath, "run", "--role", "isolated", "--", "touch", marker).want(t, 125, "mount -t bpf")
	if _, err := os.Stat(marker); err == nil {
		t.Error("the command ran unjailed")
	}
	run(t, jailPath, "doctor").want(t, 1)
}

func TestHalfMadeLoadIsMended(t *testing.T) {
	unloadForTest(t)
	load(t)
	// What a loader killed before it opened the door leaves: pins, some missing.
	run(t, jailPath, "unload").want(t, 0)
	if err := errors.Join(os.Mkdir("/sys/fs/bpf/jail", 0o700), os.Mkdir("/sys/fs/bpf/jail/maps", 0o700)); err != nil {
		t.Fatal(err)
	}
	run(t, jailPath, "status").want(t, 1)
	load(t)
	run(t, jailPath, "status").want(t, 0)
	run(t, jailPath, "load").want(t, 0) // a whole load changes nothing
}

func unloadForTest(t *testing.T) {
	t.Helper()
	r := run(t, jailPath, "unload")
	if r.status != 0 && !strings.Contains(r.stderr, "not loaded") {
		t.Fatalf("unload: %d %s", r.status, r.stderr)
	}
}

// TestOffWithoutBPFLSM runs in a VM of its own, whose kernel was started without bpf
// among its LSMs.
func TestOffWithoutBPFLSM(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	run(t, jailPath, "run", "--role", "isolated", "--", "touch", marker).want(t, 125, "lsm=", ",bpf")
	if _, err := os.Stat(marker); err == nil {
		t.Error("the command ran unjailed")
	}
	r := run(t, jailPath, "doctor")
	r.want(t, 1)
	if !strings.Contains(r.stdout+r.stderr, "GRUB_CMDLINE_LINUX") {
		t.Errorf("doctor does not tell the line for GRUB: %s %s", r.stdout, r.stderr)
	}
	run(t, jailPath, "load").want(t, 1, "lsm")
	run(t, jailPath, "status").want(t, 1)
}

func TestProgramBeginsWithTheFirstStage(t *testing.T) {
	f, err := elf.Open(jailPath)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "jail/launcher/firststage.entry.abi0" })
	if at < 0 || symbols[at].Value != f.Entry {
		t.Errorf("the entry point %#x is not the first stage's", f.Entry)
	}
}

// TestPlainStartNoticesMounts: a start that the first stage could do alone leaves new mounts
// to the runtime, for root, who can tell the kernel part.
func TestPlainStartNoticesMounts(t *testing.T) {
	load(t)
	read := func(run func(*testing.T, string, ...string) result, dir string) result {
		return run(t, jailPath, "run", "--role", "restricted", "--", "cat", dir+"/file")
	}
	const open, closed = "/usr/share/zoneinfo/late", "/srv/late"
	for _, dir := range []string{open, closed} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("none", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		if err := os.WriteFile(dir+"/file", []byte("late"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "cat", closed+"/file").want(t, 0)
	read(runAsUser, open).want(t, 1, "Permission denied")
	read(run, open).want(t, 0)
	read(run, closed).want(t, 1, "Permission denied")
	read(runAsUser, open).want(t, 0)
}
