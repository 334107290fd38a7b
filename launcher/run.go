package launcher

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"jail/loader"
)

// Spec is one request to run a command inside a jail.
type Spec struct {
	Roles   []uint32 // role ids, outermost first; at least one
	Pod     uint64   // label; 0: one is made up
	Command []string // name and arguments
	KeepFDs []int    // descriptors from 3 up that the command inherits
	User    *User    // nil: as the caller
	// Permissive enters the roles so that they only report what they would refuse.
	Permissive bool
}

// Find resolves the command's file as [Run] would.
func (s Spec) Find() (string, error) {
	if len(s.Command) == 0 {
		return "", errors.New("no command given")
	}
	path, set := os.LookupEnv("PATH")
	return lookup(s.Command[0], path, set)
}

// Run replaces the process by the command, jailed from its first instruction on. It
// returns only on failure, with nothing left armed.
//
// Ignored and blocked signals reach the command as the caller had them, unless the binary
// was stripped of its symbols or cannot be read: then the Go runtime's changes stay.
func Run(s Spec) error {
	// 1. Find everything that can be found before anything is changed.
	file, err := s.Find()
	if err != nil {
		return err
	}
	if len(s.Roles) == 0 {
		return errors.New("no role given")
	}
	env, err := environ()
	if err != nil {
		return err
	}
	caller, _ := findSignals() // nil: see above
	// 2. The arming belongs to the thread, so from here to the exec there is one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// 3. Whoever is not root could otherwise put restrictions on a set-id program.
	if os.Getuid() != 0 || os.Geteuid() != 0 {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no_new_privs: %w", err)
		}
	}
	// 4. Arm, and have it read back.
	arm := loader.Arm
	if s.Permissive {
		arm = loader.ArmPermissive
	}
	if err := arm(s.Roles, s.Pod); err != nil {
		return err
	}
	// 5. Become the other user: not before, since arming may take root.
	if err := s.User.become(); err != nil {
		return errors.Join(err, loader.Disarm())
	}
	// 6. Close at exec all but what was named, our own descriptors included.
	if err := closeOnExec(s.KeepFDs); err != nil {
		return errors.Join(err, loader.Disarm())
	}
	// 7. Signals as the caller had them; syscall.Exec does RLIMIT_NOFILE.
	if caller != nil {
		if err := caller.restore(); err != nil {
			return errors.Join(fmt.Errorf("signals: %w", err), loader.Disarm())
		}
	}
	err = syscall.Exec(file, s.Command, env)
	// 8. It failed: say whether the jail or the command is to blame, and withdraw.
	if refusal := loader.ExecRefusal(); refusal != nil {
		return errors.Join(fmt.Errorf("%s: %w", file, refusal), loader.Disarm())
	}
	return errors.Join(fmt.Errorf("%s: %w: %w", file, ErrNotRunnable, err), loader.Disarm())
}

// environ is the environment to the byte: os.Environ drops repeated names.
func environ() ([]string, error) {
	data, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	var env []string
	for _, e := range bytes.Split(bytes.TrimSuffix(data, []byte{0}), []byte{0}) {
		env = append(env, string(e))
	}
	if len(data) == 0 {
		env = nil
	}
	return env, nil
}

// closeOnExec marks every descriptor from 3 up but the kept ones, and unmarks those. What
// the caller left open has no mark; what has one is ours, and not to be kept.
func closeOnExec(keep []int) error {
	for _, fd := range keep {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC != 0 {
			err = unix.EBADF
		}
		if err != nil {
			return fmt.Errorf("descriptor %d: %w", fd, err)
		}
	}
	if err := unix.CloseRange(3, ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	for _, fd := range slices.Compact(slices.Sorted(slices.Values(keep))) {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("descriptor %d: %w", fd, err)
		}
	}
	return nil
}
