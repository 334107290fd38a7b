//go:build vm

package loader

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"jail/profiles"
)

// unload removes what an earlier test of this binary loaded.
func unload(t *testing.T) {
	t.Helper()
	if err := Unload(true); err != nil && !errors.Is(err, ErrNotLoaded) {
		t.Fatal(err)
	}
}

// sleeper starts a process under `worker` that lives until the test ends.
func sleeper(t *testing.T) {
	t.Helper()
	cmd := exec.Command(attackBinary, "-j", "7", "E00_sleep")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// waitSubjects waits until so many processes have a subject among their threads: how many
// threads a process has is its own affair.
func waitSubjects(t *testing.T, k *Kernel, want int) {
	t.Helper()
	got := 0
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		list, err := k.Subjects()
		if err != nil {
			t.Fatal(err)
		}
		processes := make(map[uint32]bool)
		for _, s := range list {
			processes[s.PID] = true
		}
		if got = len(processes); got == want {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("never saw subjects in %d processes, last in %d", want, got)
}

func TestFullDomainsMapRefusesTheExec(t *testing.T) {
	unload(t)
	t.Cleanup(func() { unload(t) }) // the tests after it want more domains
	k, err := Load(t.Context(), Options{Roles: profiles.Builtins().Roles(), MaxDomains: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	sleeper(t)
	sleeper(t)
	waitSubjects(t, k, 2)
	out, err := exec.Command(attackBinary, "-j", "7", "E00_sleep").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 202 || !strings.Contains(string(out), "exec:") {
		t.Errorf("the third jail: %v: %s", err, out)
	}
	waitSubjects(t, k, 2)
}

func TestOtherABIIsRefused(t *testing.T) {
	k := testKernel(t)
	c, err := k.control()
	if err != nil {
		t.Fatal(err)
	}
	good := c
	c.Abi = 999
	if err := k.setControl(c); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(); !errors.Is(err, ErrABI) {
		t.Errorf("open: %v, want ErrABI", err)
	}
	if _, err := Load(t.Context(), Options{}); !errors.Is(err, ErrABI) {
		t.Errorf("load: %v, want ErrABI", err)
	}
	if err := k.setControl(good); err != nil {
		t.Fatal(err)
	}
	k2, err := Open()
	if err != nil {
		t.Fatalf("control: %v", err)
	}
	_ = k2.Close()
}

func TestInterruptedLoadIsFinished(t *testing.T) {
	k := testKernel(t)
	c, err := k.control()
	if err != nil {
		t.Fatal(err)
	}
	c.Door = 0 // what a loader that was killed before the end leaves
	if err := k.setControl(c); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(k.set.dir(linksDir) + "/file_open"); err != nil {
		t.Fatal(err)
	}
	again, err := Load(t.Context(), Options{Roles: profiles.Builtins().Roles()})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.whole(); err != nil {
		t.Error(err)
	}
}

func TestLostPinIsNotWholeAndIsMended(t *testing.T) {
	k := testKernel(t)
	pin := k.set.dir(linksDir) + "/net_bind"
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	once, err := Load(t.Context(), Options{}) // from here on it is of another load than the rest
	if err != nil {
		t.Fatal(err)
	}
	defer once.Close()
	kept, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if err := kept.Unpin(); err != nil {
		t.Fatal(err)
	}
	s, err := k.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.Whole || len(s.Missing) != 1 || s.Missing[0] != "net_bind" {
		t.Errorf("status %+v, want net_bind missing", s)
	}
	before, err := kept.Info()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if s, err = again.Status(); err != nil || !s.Whole {
		t.Errorf("after load: %+v, %v", s, err)
	}
	// Two programs on one hook would count everything twice.
	mended, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mended.Close()
	if after, err := mended.Info(); err != nil || after.ID != before.ID {
		t.Errorf("link %+v, %v, want the one that was still held, %d", after, err, before.ID)
	}
}

// TestFailedAttachLeavesNothing fills a hook's slots, so that one of our programs
// cannot be attached: all or nothing.
func TestFailedAttachLeavesNothing(t *testing.T) {
	unload(t)
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "task_fix_setuid", License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	prog.Close()
	var fillers []link.Link
	defer func() {
		for _, l := range fillers {
			_ = l.Close()
		}
	}()
	for range 100 {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "task_fix_setuid", License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		})
		if err != nil {
			t.Fatal(err)
		}
		l, err := link.AttachLSM(link.LSMOptions{Program: p})
		_ = p.Close()
		if err != nil {
			break
		}
		fillers = append(fillers, l)
	}
	if len(fillers) == 100 {
		t.Fatal("the hook never filled up")
	}
	if _, err := Load(t.Context(), Options{Roles: profiles.Builtins().Roles()}); !errors.Is(err, unix.E2BIG) {
		t.Errorf("load: %v, want E2BIG", err)
	}
	if entries, err := os.ReadDir(Dir); err == nil {
		t.Errorf("left behind: %v", entries)
	}
	for _, l := range fillers {
		_ = l.Close()
	}
	fillers = nil
	for range 100 { // the slots are given back a moment later
		k, err := Load(t.Context(), Options{Roles: profiles.Builtins().Roles()})
		if err == nil {
			_ = k.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("control: load fails although the slots are free again")
}

func TestUnloadInsideAJailIsRefused(t *testing.T) {
	k := testKernel(t)
	sleeper(t)
	waitSubjects(t, k, 1)
	if err := Unload(false); !errors.Is(err, ErrBusy) {
		t.Errorf("unload: %v, want ErrBusy", err)
	}
	if err := k.whole(); err != nil {
		t.Errorf("the refused unload changed something: %v", err)
	}
}
