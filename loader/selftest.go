package loader

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"jail/bpf"
)

// selfTestName is argv[0] of the throwaway child.
const selfTestName = "jail: self-test"

// The child runs before main so that any program that links this package can be its
// own child. It can only open a directory, say what came of it, and exit.
func init() {
	if len(os.Args) == 1 && os.Args[0] == selfTestName {
		selfTestChild()
	}
}

// selfTestChild tries the same open before and after it was put under `restricted`;
// on the process's first thread, where init functions run.
func selfTestChild() {
	try := func() {
		fd, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		errno, _ := errnoOf(err)
		fmt.Printf("%d\n", errno)
	}
	try()
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err == nil {
		try()
	}
	os.Exit(0)
}

// selfTest puts a throwaway child under the role `restricted` and sees it refused. A
// kernel whose LSM list lacks bpf attaches everything and enforces nothing.
func (k *Kernel) selfTest(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("self-test: %w", err)
		}
	}()
	const restricted = 1
	slot, err := k.slotOf(restricted)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{selfTestName}
	cmd.Env = []string{}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = stdin.Close()
		if werr := cmd.Wait(); err == nil {
			err = werr
		}
	}()
	answers := bufio.NewReader(stdout)
	if got, err := answer(answers); err != nil || got != 0 {
		return fmt.Errorf("control, before the child was jailed: %w", errors.Join(err, unix.Errno(got)))
	}
	if err := k.stamp(cmd.Process.Pid, bpf.JailMember{Role: restricted, Slot: slot}); err != nil {
		return err
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		return err
	}
	got, err := answer(answers)
	switch {
	case err != nil:
		return err
	case unix.Errno(got) != unix.EACCES:
		return ErrNoEnforcement
	}
	return nil
}

func answer(r *bufio.Reader) (errno int, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the child gave no answer: %w", err)
	}
	_, err = fmt.Sscan(strings.TrimSpace(line), &errno)
	return errno, err
}

// stamp makes the first thread of a child of ours a subject, in no domain.
func (k *Kernel) stamp(pid int, m bpf.JailMember) error {
	subjects, err := k.table("subjects")
	if err != nil {
		return err
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	s := bpf.JailSubject{Depth: 1}
	s.List[0] = m
	return subjects.Put(uint32(pidfd), s)
}
