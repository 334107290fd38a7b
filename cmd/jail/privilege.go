// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"jail/loader"
)

// loadFirst is all that a set-user-ID bit is used for: where nothing is loaded yet, `run`
// has this same program load it, as root, with no word, variable, descriptor or directory
// of the caller's. For all else the kernel part answers anyone (see loader.Arm).
func loadFirst(args []string) error {
	if !isRun(args) || os.Geteuid() != 0 {
		return nil
	}
	if _, err := loader.Depth(); !errors.Is(err, loader.ErrNotLoaded) {
		return nil
	}
	cmd := exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"jail", "load"}, Env: []string{}, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{}, Setsid: true},
	}
	if err := cmd.Run(); err != nil {
		return withHint(fmt.Errorf("load the kernel part: %w", err), "as root: jail load")
	}
	return nil
}

// dropPrivilege gives up what a set-user-ID bit, a set-group-ID bit or file capabilities
// gave this process beyond its caller, after loadFirst: running a command needs none of it,
// and all else is for real root. It reports whether there was anything.
func dropPrivilege(args []string) (gained bool, err error) {
	uid, gid := os.Getuid(), os.Getgid()
	gained = secureExec() || uid != os.Geteuid() || gid != os.Getegid()
	if !gained || uid == 0 {
		return false, nil
	}
	lower, err := raiseSignalLimit()
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, lower()) }()
	loadErr := loadFirst(args)
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return true, fmt.Errorf("give up the group: %w", err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return true, fmt.Errorf("give up the user: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return true, fmt.Errorf("give up capabilities: %w", err)
	}
	// Nothing was opened or read so far, so there is nothing to hide from the caller any
	// more; without this, /proc/self would stay root's.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return true, fmt.Errorf("dumpable: %w", err)
	}
	return true, loadErr
}

// raiseSignalLimit makes sure that the runtime can tell its threads to change their ids: it does
// so by queued signals, and tries forever where the caller allows none. It returns what
// gives the caller's limit back.
func raiseSignalLimit() (lower func() error, err error) {
	const (
		signalLimit = 11 // RLIMIT_SIGPENDING
		enough      = 64
	)
	var callers unix.Rlimit
	if err := unix.Prlimit(0, signalLimit, nil, &callers); err != nil {
		return nil, fmt.Errorf("limit of queued signals: %w", err)
	}
	all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(0, signalLimit, &all, nil); err != nil {
		if callers.Cur < enough {
			return nil, fmt.Errorf("limit of queued signals (ulimit -i) is %d, at least %d are needed", callers.Cur, enough)
		}
		return func() error { return nil }, nil
	}
	return func() error {
		if err := unix.Prlimit(0, signalLimit, &callers, nil); err != nil {
			return fmt.Errorf("limit of queued signals: %w", err)
		}
		return nil
	}, nil
}

// dropCapabilities leaves the ambient set, which is what any other program that the
// caller starts has.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var held [2]unix.CapUserData
	if err := unix.Capget(&header, &held[0]); err != nil {
		return err
	}
	for i := range held {
		held[i].Permitted = 0
		for bit := range 32 {
			n, err := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, uintptr(32*i+bit), 0, 0)
			if err == nil && n == 1 {
				held[i].Permitted |= 1 << bit
			}
		}
		held[i].Effective = held[i].Permitted
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&held)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// secureExec is the kernel's word that the exec of this process gained privilege.
func secureExec() bool {
	const atSecure = 23
	vector, err := unix.Auxv()
	if err != nil {
		return true
	}
	for _, entry := range vector {
		if entry[0] == atSecure {
			return entry[1] != 0
		}
	}
	return false
}
