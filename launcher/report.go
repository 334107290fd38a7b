package launcher

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that a parent passes on to the command.
var forwarded = []os.Signal{
	unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGWINCH, unix.SIGCONT, unix.SIGTSTP,
}

// Supervise starts this program again with other arguments, which are to run the command,
// and stays its parent: it forwards signals, stops when the command stops, and returns
// what became of the command. The command keeps the environment, the descriptors, the
// process group and the terminal that it would have had.
func Supervise(args []string) (syscall.WaitStatus, error) {
	var status syscall.WaitStatus
	env, err := environ()
	if err != nil {
		return status, err
	}
	// What the caller ignores stays ignored, for the command too.
	signals := make(chan os.Signal, 64)
	for _, s := range forwarded {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)
	runtime.LockOSThread()
	pid, err := syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}})
	runtime.UnlockOSThread()
	if err != nil {
		return status, fmt.Errorf("start the command's process: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- waitFor(pid, &status) }()
	for {
		select {
		case s := <-signals:
			forward(pid, s.(syscall.Signal))
		case err := <-done:
			return status, err
		}
	}
}

// waitFor waits for the first child's end, and stops with it meanwhile.
func waitFor(pid int, status *syscall.WaitStatus) error {
	for {
		_, err := syscall.Wait4(pid, status, syscall.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the command: %w", err)
		case status.Stopped():
			// So that the shell sees the job stop; its SIGCONT goes to both.
			_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
		default:
			return nil
		}
	}
}

// forward passes a signal on, unless it came from the keyboard: that one, the whole
// foreground process group has got already.
func forward(pid int, s syscall.Signal) {
	switch s {
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH:
		if inForeground() {
			return
		}
	}
	_ = unix.Kill(pid, s)
}

// inForeground tells whether this process is in the foreground of its terminal.
func inForeground() bool {
	tty, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(tty)
	group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// EndAs ends this process as the command ended: with its status, or by the same signal.
func EndAs(status syscall.WaitStatus) {
	if !status.Signaled() {
		os.Exit(status.ExitStatus())
	}
	s := status.Signal()
	// The command has left its core; the Go runtime's handlers would print a trace.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	var standard [4]uintptr // SIG_DFL, no flags, empty mask
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&standard)), 0, 8, 0, 0)
	set := unix.Sigset_t{}
	set.Val[(s-1)/64] |= 1 << ((s - 1) % 64)
	runtime.LockOSThread()
	_ = unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil)
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), s)
	os.Exit(128 + int(s))
}
