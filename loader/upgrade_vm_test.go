//go:build vm

package loader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// What scripts/build-next makes: these tests as another version of jail, and one that
// cannot take over.
const (
	nextBuild         = "/next.test"
	incompatibleBuild = "/incompatible.test"
)

// another runs another build of these tests as a child of that mode.
func another(t *testing.T, build, mode string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(build)
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+mode)...)
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return out.String(), err
}

func needBuild(t *testing.T, build string) {
	t.Helper()
	if _, err := os.Stat(build); err != nil {
		t.Skipf("%v: it comes from scripts/build-next", err)
	}
}

// upgradeChild is what the other build is asked.
func upgradeChild(mode string) error {
	if mode == "upgrade" {
		start := time.Now()
		done, err := Upgrade(context.Background())
		fmt.Println(done, time.Since(start).Round(time.Millisecond))
		return err
	}
	k, err := Open()
	if err != nil {
		return err
	}
	defer k.Close()
	s, err := k.Status()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// nice tells whether the caller may change its own priority.
func nice() error {
	fmt.Println(errors.Is(unix.Setpriority(unix.PRIO_PROCESS, 0, 3), unix.EPERM))
	return nil
}

// statusBy is the status that a build sees.
func statusBy(t *testing.T, build string) (s Status) {
	t.Helper()
	out, err := another(t, build, "status")
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	if err != nil {
		t.Fatalf("%s: status: %v", build, err)
	}
	return s
}

// startMarked starts a marked program time and again and counts how often that went, and
// how often it could open what its role denies.
func startMarked(t *testing.T, k *Kernel) (starts, allowed *atomic.Int64, stop func()) {
	t.Helper()
	const program = "/tmp/marked"
	data, err := os.ReadFile(attackBinary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	open := func(path string) bool { return exec.Command(program, "F01_open", path).Run() == nil }
	if !open("/etc/shadow") {
		t.Fatal("control: denied without a mark")
	}
	if err := k.PutExecutable(f, Entrance{Role: 150}); err != nil {
		t.Fatal(err)
	}
	starts, allowed = new(atomic.Int64), new(atomic.Int64)
	done, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
			}
			if open("/etc/shadow") {
				allowed.Add(1)
			}
			if !open("/etc/passwd") {
				t.Error("the marked program was refused what its role allows")
			}
			starts.Add(2)
			time.Sleep(50 * time.Millisecond)
		}
	}()
	return starts, allowed, func() { close(done); <-ended }
}

// TestUpgradeLetsNothingThrough: programs of another version take over, killed at each step
// and begun again, while jailed processes try what they may not, marked programs start, and
// jailed processes breed.
func TestUpgradeLetsNothingThrough(t *testing.T) {
	needBuild(t, nextBuild)
	unload(t)
	k, err := Load(t.Context(), Options{Roles: append(profiles.Builtins().Roles(), reloadRoles("reload A")...)})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	defer unload(t)
	opener, stdin, answers := startChild(t, "enter patiently")
	breeder := exec.Command(attackBinary, "-j", "7", "-p")
	breeder.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := breeder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = breeder.Process.Kill() })
	starts, escaped, stop := startMarked(t, k)
	before, err := k.Status()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := another(t, "/proc/self/exe", "nice in jail"); err != nil || out != "false\n" {
		t.Fatalf("control: the priority before the upgrade: %q, %v", out, err)
	}
	for _, at := range []string{
		"begin:1", "loaded:1", "unpinned:1", "link:20", "attached:1", "both:1", "settled:1", "flip:1", "abi:1",
	} {
		begun, since := starts.Load(), time.Now()
		out, err := another(t, nextBuild, "upgrade", killEnv+"="+at)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Success() || exit.Exited() {
			t.Fatalf("%s: not killed: %v %s", at, err, out)
		}
		if k2, err := open(); err != nil {
			t.Errorf("after a kill at %s: %v", at, err)
		} else {
			if err := k2.whole(); err != nil {
				t.Errorf("after a kill at %s not whole: %v", at, err)
			}
			c, _ := k2.control()
			t.Logf("%s: sets %#x, %d marked starts in %v", at, c.Instance, starts.Load()-begun, time.Since(since))
			_ = k2.Close()
		}
		for starts.Load() < begun+4 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	out, err := another(t, nextBuild, "upgrade")
	if err != nil || !strings.HasPrefix(out, "true") && !strings.HasPrefix(out, "false") {
		t.Fatalf("upgrade: %v %s", err, out)
	}
	if out, err = another(t, nextBuild, "upgrade"); err != nil || !strings.HasPrefix(out, "false") {
		t.Errorf("upgrade again: %v %s, want nothing to do", err, out)
	}
	for begun := starts.Load(); starts.Load() < begun+4; {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	after := statusBy(t, nextBuild)
	if !after.Whole || !after.Current || after.Set <= before.Set || after.ABI != before.ABI+1 || after.Denied < before.Denied || after.Subjects < 2 {
		t.Errorf("status before %+v, after %+v", before, after)
	}
	if len(after.Programs) != len(before.Programs)+1 {
		t.Errorf("%d programs, before %d", len(after.Programs), len(before.Programs))
	}
	if out, err := another(t, nextBuild, "nice in jail"); err != nil || out != "true\n" {
		t.Errorf("the new hook: %q, %v", out, err)
	}
	if _, err := Open(); !errors.Is(err, ErrABI) {
		t.Errorf("the old version opens what is the new one's: %v", err)
	}
	if _, err := Upgrade(t.Context()); !errors.Is(err, ErrABI) {
		t.Errorf("the old version takes over again: %v", err)
	}
	_ = stdin.Close()
	var opens, allowed, refused int
	if _, err := fmt.Fscan(answers, &opens, &allowed, &refused); err != nil {
		t.Error(err)
	}
	if err := opener.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d opens, %d marked starts", opens, starts.Load())
	if allowed != 0 || refused != 0 || opens == 0 || escaped.Load() != 0 {
		t.Errorf("opens %d: wrongly allowed %d, refused %d; marked programs outside: %d", opens, allowed, refused, escaped.Load())
	}
	_ = breeder.Process.Kill()
	_ = breeder.Wait()
	// What the sets counted together comes out even: no domain stays.
	k3, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer k3.Close()
	left := -1
	for end := time.Now().Add(time.Minute); left != 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		left = entries[uint64, bpf.JailDomain](t, k3.maps["domains"])
	}
	if left != 0 {
		t.Errorf("%d domains stay", left)
	}
}

func entries[K, V any](t *testing.T, m *ebpf.Map) (n int) {
	t.Helper()
	var (
		key   K
		value V
	)
	it := m.Iterate()
	for it.Next(&key, &value) {
		n++
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestUpgradeOfAnotherLayoutIsRefused, and nothing has changed.
func TestUpgradeOfAnotherLayoutIsRefused(t *testing.T) {
	needBuild(t, incompatibleBuild)
	k := testKernel(t)
	out, err := another(t, incompatibleBuild, "upgrade")
	if err == nil || !strings.Contains(err.Error(), "map subjects: ") || !strings.Contains(err.Error(), ErrABI.Error()) {
		t.Errorf("upgrade: %v %s", err, out)
	}
	if s, err := k.Status(); err != nil || !s.Whole || !s.Current || len(s.Inert) > 0 {
		t.Errorf("afterwards: %+v, %v", s, err)
	}
	if done, err := Upgrade(t.Context()); done || err != nil {
		t.Errorf("control: upgrade to what acts already: %v, %v", done, err)
	}
}

// TestStatusSeesThatTheKernelCallsNoProgram: root outside any jail can turn all calls of BPF
// programs off.
func TestStatusSeesThatTheKernelCallsNoProgram(t *testing.T) {
	const sysctl = "/proc/sys/kernel/ftrace_enabled"
	k := testKernel(t)
	if err := os.WriteFile(sysctl, []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	s, err := k.Status()
	if back := os.WriteFile(sysctl, []byte("1"), 0); back != nil {
		t.Fatal(back)
	}
	if err != nil || s.Whole || len(s.Missing) != 1 || !strings.Contains(s.Missing[0], "ftrace_enabled") {
		t.Errorf("status %+v, %v", s, err)
	}
	if s, err = k.Status(); err != nil || !s.Whole {
		t.Errorf("control: %+v, %v", s, err)
	}
}
