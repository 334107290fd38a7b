package launcher

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is parent and child of what is supervised: by its argv[0].
func init() {
	switch os.Args[0] {
	case "supervising":
		status, err := Supervise([]string{"supervised", os.Args[1]})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(125)
		}
		EndAs(status)
	case "supervised":
		panic(syscall.Exec("/bin/sh", []string{"sh", "-c", os.Args[1]}, os.Environ()))
	}
}

// supervising is a command that supervises a script, outside any terminal.
func supervising(script string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"supervising", script}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func TestSupervisedEndsAsTheCommandDid(t *testing.T) {
	for _, status := range []int{0, 1, 7, 125, 255} {
		cmd := supervising(fmt.Sprintf("exit %d", status))
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != status {
			t.Errorf("status %d, want %d", got, status)
		}
	}
	for _, s := range []syscall.Signal{unix.SIGTERM, unix.SIGKILL, unix.SIGSEGV, unix.SIGUSR1, unix.SIGPIPE, unix.SIGABRT, unix.SIGQUIT, syscall.Signal(40)} {
		cmd := supervising(fmt.Sprintf("ulimit -c 0; kill -%d $$", int(s)))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		_ = cmd.Run()
		if got := cmd.ProcessState.Sys().(syscall.WaitStatus); !got.Signaled() || got.Signal() != s || stderr.Len() > 0 {
			t.Errorf("%v: ended %v, printed %q", s, cmd.ProcessState, stderr.String())
		}
	}
}

func TestSupervisorForwardsSignals(t *testing.T) {
	for _, name := range []string{"INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH"} {
		// Under nohup and the like it is ignored, which no shell can undo.
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, unix.SignalNum("SIG"+name))
		defer signal.Stop(caught)
		file := t.TempDir() + "/ready"
		cmd := supervising("trap 'exit 9' " + name + "; : >" + file + "; while :; do sleep 0.05; done")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, "the trap", func() bool { _, err := os.Stat(file); return err == nil })
		if err := cmd.Process.Signal(unix.SignalNum("SIG" + name)); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 9 {
			t.Errorf("%s: %v, want the trap's 9", name, cmd.ProcessState)
		}
	}
}

func TestSupervisorStopsAndContinuesWithTheCommand(t *testing.T) {
	cmd := supervising("kill -STOP $$; exit 5")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the parent's stop", func() bool {
		data, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
		_, rest, _ := strings.Cut(string(data), ") ")
		return strings.HasPrefix(rest, "T")
	})
	if err := cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 5 {
		t.Errorf("%v, want status 5", cmd.ProcessState)
	}
}

func TestIgnoredHangupStaysIgnored(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, "-c", `trap '' HUP; exec -a supervising "$0" 'kill -HUP $$; exit 3'`, self)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != 3 {
		t.Errorf("%v, want status 3", cmd.ProcessState)
	}
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range 1000 {
		if condition() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}
