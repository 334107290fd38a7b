package loader

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"jail/bpf"
)

// Refusal says why the kernel part did not enroll.
type Refusal bpf.JailRefusal

var refusals = map[Refusal]string{
	Refusal(bpf.JailRefusalREFUSED_DOOR):      "enrollment is closed: jail is being loaded or unloaded",
	Refusal(bpf.JailRefusalREFUSED_ROLE):      "the role is not loaded in the kernel (root: jail reload)",
	Refusal(bpf.JailRefusalREFUSED_DEPTH):     fmt.Sprintf("at most %d roles stack on one process", bpf.JailAbiROLE_DEPTH),
	Refusal(bpf.JailRefusalREFUSED_MEMORY):    "out of kernel memory",
	Refusal(bpf.JailRefusalREFUSED_POD):       "the pod belongs to another user",
	Refusal(bpf.JailRefusalREFUSED_USER):      "the role is not open to this user",
	Refusal(bpf.JailRefusalREFUSED_NEW_PRIVS): "an unprivileged caller must set no_new_privs first",
	Refusal(bpf.JailRefusalREFUSED_FULL):      "the domains map is full: too many jails are alive",
	Refusal(bpf.JailRefusalREFUSED_BUSY):      "an exec or another enrollment of the process is under way, or kernel memory is short",
	Refusal(bpf.JailRefusalREFUSED_GONE):      "the process is gone",
	Refusal(bpf.JailRefusalREFUSED_KERNEL):    "a kernel thread cannot be jailed",
	Refusal(bpf.JailRefusalREFUSED_TRACED):    "it is traced or traces: its tracer would act for it",
	Refusal(bpf.JailRefusalREFUSED_PRIVILEGE): "the process has more privilege than its user",
	Refusal(bpf.JailRefusalREFUSED_MARK):      "the file's mark is malformed or cannot be read (root: jail marks --check)",
	Refusal(bpf.JailRefusalREFUSED_PATH):      "the file's path cannot be told, and executables are listed by path",
	Refusal(bpf.JailRefusalREFUSED_SHARED):    "it shares its memory with a process that would stay outside",
}

func (r Refusal) Error() string {
	if text, ok := refusals[r]; ok {
		return text
	}
	return fmt.Sprintf("refused by the kernel part (code %d)", uint32(r))
}

// Is makes the refusal of a closed door an [ErrClosed].
func (r Refusal) Is(target error) bool {
	return target == ErrClosed && r == Refusal(bpf.JailRefusalREFUSED_DOOR)
}

// prctl asks the private prctl. It returns n of PRCTL_OK + n, or the refusal, or
// [ErrNotLoaded] when no program of ours answers.
func prctl(op bpf.JailPrctl, arg uint64) (int, error) {
	errno, ok := errnoOf(unix.Prctl(int(bpf.JailPrctlPRCTL_JAIL), uintptr(op), uintptr(arg), 0, 0))
	switch {
	case !ok:
		// The option is unknown to the kernel itself; 0 would be a kernel that knows it.
		return 0, errors.New("prctl 0x4a41494c has another meaning on this kernel")
	case errno >= int(bpf.JailPrctlPRCTL_REFUSED):
		return 0, Refusal(errno - int(bpf.JailPrctlPRCTL_REFUSED))
	case errno >= int(bpf.JailPrctlPRCTL_OK):
		return errno - int(bpf.JailPrctlPRCTL_OK), nil
	default:
		return 0, ErrNotLoaded
	}
}

func errnoOf(err error) (int, bool) {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return int(errno), true
	}
	return 0, false
}

// Arm makes the calling thread's next exec enter the roles, in that order, under the
// label pod (0: one is made up). The thread must be locked until it execs. The arming
// dies with the thread; [Disarm] withdraws it. It works for anyone: the kernel part
// checks that the role is open to the caller and that an unprivileged caller has set
// no_new_privs.
func Arm(roles []uint32, pod uint64) error { return arm(roles, pod, false) }

// ArmPermissive does the same, but the roles only report what they would refuse.
func ArmPermissive(roles []uint32, pod uint64) error { return arm(roles, pod, true) }

func arm(roles []uint32, pod uint64, permissive bool) error {
	if err := Disarm(); err != nil {
		return err
	}
	if pod != 0 {
		if _, err := prctl(bpf.JailPrctlPRCTL_POD, pod); err != nil {
			return err
		}
	}
	if permissive {
		if _, err := prctl(bpf.JailPrctlPRCTL_PERMISSIVE, 0); err != nil {
			_ = Disarm()
			return err
		}
	}
	for _, id := range roles {
		if _, err := prctl(bpf.JailPrctlPRCTL_ARM, uint64(id)); err != nil {
			_ = Disarm()
			return err
		}
	}
	n, err := prctl(bpf.JailPrctlPRCTL_COUNT, 0)
	if err == nil && n != len(roles) {
		err = fmt.Errorf("armed %d roles, the kernel part reads back %d", len(roles), n)
	}
	if err != nil {
		_ = Disarm()
	}
	return err
}

// Disarm withdraws what [Arm] did.
func Disarm() error {
	_, err := prctl(bpf.JailPrctlPRCTL_CLEAR, 0)
	return err
}

// ExecRefusal tells why the last exec of this thread was not enrolled; nil if the
// exec failed for another reason.
func ExecRefusal() error {
	_, err := prctl(bpf.JailPrctlPRCTL_REASON, 0)
	var refusal Refusal
	if errors.As(err, &refusal) && refusal == 0 {
		return nil
	}
	return err
}

// Depth is how many roles the calling thread is under; 0 outside any jail.
func Depth() (int, error) {
	return prctl(bpf.JailPrctlPRCTL_DEPTH, 0)
}

// Jailed tells whether the calling thread is in a jail.
func Jailed() bool {
	depth, err := Depth()
	return err == nil && depth > 0
}
