package launcher

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// soPeerPIDFD is the socket option SO_PEERPIDFD, from Linux 6.5.
const soPeerPIDFD = 77

var errPeerGone = errors.New("the peer is gone, or in a process namespace of its own")

// peer is the process that called connect, as the kernel says.
type peer struct {
	pidfd int
	pid   int
	uid   uint32 // effective, when it connected
	start uint64 // field 22 of /proc/PID/stat

	client  *client      // its user's
	release func() error // of the role that was made for it; nil: none
}

// peerOf identifies the process at the other end. The caller closes pidfd. Before 6.5 a
// process id is all that there is, and a peer that ends at once may have passed it on: to
// a process of the same user, or it is refused.
func peerOf(conn *net.UnixConn) (p *peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var (
		cred  *unix.Ucred
		pidfd = -1
	)
	cerr := raw.Control(func(fd uintptr) {
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		pidfd, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, soPeerPIDFD)
	})
	if cerr != nil {
		return nil, cerr
	}
	weak := errors.Is(err, unix.ENOPROTOOPT)
	if weak {
		err = nil
	}
	if err != nil || cred.Pid <= 0 {
		return nil, errPeerGone
	}
	if weak {
		if pidfd, err = unix.PidfdOpen(int(cred.Pid), 0); err != nil {
			return nil, errPeerGone
		}
	} else {
		unix.CloseOnExec(pidfd)
	}
	p = &peer{pidfd: pidfd, pid: int(cred.Pid), uid: cred.Uid}
	var owner uint32
	if owner, p.start, err = processOf(p.pid); err == nil {
		err = p.alive() // so what was read is about the process of the pidfd
	}
	if err == nil && weak && owner != p.uid {
		err = errPeerGone
	}
	if err != nil {
		_ = unix.Close(pidfd)
		return nil, err
	}
	return p, nil
}

// listenerIsRoots refuses a server that another user started.
func listenerIsRoots(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil {
		return cerr
	}
	if err == nil && cred.Uid != 0 {
		err = errors.New("its server is not root's")
	}
	return err
}

// alive tells whether the process still has its id.
func (p *peer) alive() error {
	if err := unix.PidfdSendSignal(p.pidfd, 0, nil, 0); err != nil && !errors.Is(err, unix.EPERM) {
		return errPeerGone
	}
	return nil
}

func (p *peer) close() { _ = unix.Close(p.pidfd) }

// processOf reads a process's real uid and its start time.
func processOf(pid int) (uid uint32, start uint64, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return 0, 0, errPeerGone
	}
	// the name, in parentheses, may hold anything
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("%sstat: %d fields", dir, len(fields))
	}
	if start, err = strconv.ParseUint(string(fields[19]), 10, 64); err != nil {
		return 0, 0, err
	}
	line, err := statusLine(pid, "Uid")
	if err != nil {
		return 0, 0, err
	}
	n, err := strconv.ParseUint(string(bytes.Fields(line)[0]), 10, 32)
	return uint32(n), start, err
}

// isAdmin tells whether a process of uid 0 can administrate the system: a container's
// root mostly cannot.
func (p *peer) isAdmin() bool {
	if p.uid != 0 {
		return false
	}
	line, err := statusLine(p.pid, "CapEff")
	if err != nil {
		return false
	}
	caps, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 64)
	return err == nil && caps>>unix.CAP_SYS_ADMIN&1 == 1 && p.alive() == nil
}

func statusLine(pid int, key string) ([]byte, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, errPeerGone
	}
	for line := range bytes.Lines(data) {
		if value, ok := bytes.CutPrefix(line, []byte(key+":")); ok && len(bytes.Fields(value)) > 0 {
			return value, nil
		}
	}
	return nil, fmt.Errorf("/proc/%d/status: no %s", pid, key)
}
