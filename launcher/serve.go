package launcher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jail/loader"
	"jail/profiles"
)

// Limits of the enrollment socket.
const (
	maxRequest     = 64 << 10         // bytes of one line
	requestTime    = 10 * time.Second // from a line's first byte to its last, and for an answer to be taken
	idleTime       = time.Minute      // without a request
	makeTime       = time.Minute      // for a role to be made
	maxConnections = 4096             // at once
	maxPerUser     = 2048             // of one user that is not root: the others get through
)

// Tables are the ways into a jail that root keeps in tables and on files: by executable,
// by cgroup, by extended attribute. What [Server] answers for them.
type Tables interface {
	EnrollExecutable(path string, pod uint64, role uint32) error
	RemoveExecutable(path string) error
	EnrollCgroup(path string, pod uint64, role uint32) error
	RemoveCgroup(path string) error
	SetXattr(path string, pod uint64, role uint32) error
	CheckXattr(path string) (pod uint64, role uint32, err error)
	RemoveXattr(path string) error
}

// Kernel is what [Server] needs of the kernel part; [loader.Kernel] is one.
type Kernel interface {
	Stamp(context.Context, loader.Stamp) error
	MembershipOf(pidfd int) ([]loader.Membership, error)
	Close() error
}

// Server answers enrollment requests: JSON, one per line.
type Server struct {
	Open   func() (Kernel, error) // asked for each request: jail may be loaded anew meanwhile
	Tables Tables                 // nil: such requests are answered with an error
	Log    *slog.Logger

	// MakeRole makes a role of rules for a user. It lives until release, and from then on
	// for as long as a jail has it. nil: such requests are answered with an error.
	MakeRole func(uid uint32, rules *profiles.AdHoc) (id uint32, release func() error, err error)

	stamping sync.Mutex // a pass visits every thread of the system: one at a time
	mu       sync.Mutex
	users    map[uint32]*client
	open     map[*net.UnixConn]bool
	wait     sync.WaitGroup
}

// client is what is known of a user who is connected.
type client struct {
	connections int
	making      sync.Mutex // a role: one at a time, so that nobody waits for another user's
}

// Serve accepts connections until the context ends, then closes them all.
func (s *Server) Serve(ctx context.Context, listener *net.UnixListener) error {
	s.mu.Lock()
	s.users, s.open = make(map[uint32]*client), make(map[*net.UnixConn]bool)
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	defer s.wait.Wait()
	defer s.closeAll()
	for {
		conn, err := listener.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if conn != nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ECONNABORTED):
			s.Log.Warn("accept", "error", err)
			time.Sleep(10 * time.Millisecond) // until some end
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		s.wait.Add(1)
		go func() {
			defer s.wait.Done()
			s.connection(ctx, conn)
		}()
	}
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}

// enter counts a connection; nil where there are too many.
func (s *Server) enter(conn *net.UnixConn, uid uint32) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.users[uid]
	if c == nil {
		c = new(client)
	}
	if len(s.open) >= maxConnections || (uid != 0 && c.connections >= maxPerUser) {
		return nil
	}
	s.open[conn] = true
	s.users[uid] = c
	c.connections++
	return c
}

func (s *Server) leave(conn *net.UnixConn, uid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
	c := s.users[uid]
	if c.connections--; c.connections == 0 {
		delete(s.users, uid)
	}
}

// connection answers one client, request after request.
func (s *Server) connection(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	p, err := peerOf(conn)
	if err != nil {
		s.answer(conn, failure(err))
		return
	}
	defer p.close()
	if p.client = s.enter(conn, p.uid); p.client == nil {
		s.answer(conn, failure(errors.New("too many connections")))
		return
	}
	defer s.leave(conn, p.uid)
	defer s.release(p)
	if ctx.Err() != nil {
		return
	}
	lines := lineReader{conn: conn}
	for {
		line, err := lines.next()
		if err != nil {
			if errors.Is(err, errTooLong) || errors.Is(err, os.ErrDeadlineExceeded) {
				s.answer(conn, failure(err))
			}
			return
		}
		if !s.answer(conn, s.handle(ctx, p, line)) {
			return
		}
	}
}

// release lets go of the role that was made on a connection: at its end the client has
// executed its command, or never will.
func (s *Server) release(p *peer) {
	if p.release == nil {
		return
	}
	if err := p.release(); err != nil {
		s.Log.Error("role of a client", "uid", p.uid, "error", err)
	}
}

func (s *Server) answer(conn *net.UnixConn, reply any) bool {
	data, err := json.Marshal(reply)
	if err != nil {
		s.Log.Error("answer", "error", err)
		return false
	}
	if err := conn.SetWriteDeadline(time.Now().Add(requestTime)); err != nil {
		return false
	}
	_, err = conn.Write(append(data, '\n'))
	return err == nil
}

var errTooLong = fmt.Errorf("a request has at most %d bytes", maxRequest)

// lineReader cuts a stream into requests: at line ends, at the end of the stream, and
// where a client that sends no line end has sent a whole object and waits.
type lineReader struct {
	conn io.Reader
	buf  []byte
}

func (r *lineReader) next() ([]byte, error) {
	deadline := time.Now().Add(idleTime)
	var chunk [4096]byte
	for {
		if line, rest, found := bytes.Cut(r.buf, []byte("\n")); found {
			r.buf = rest
			if line = bytes.TrimSpace(line); len(line) > 0 {
				return line, nil
			}
			continue
		}
		if len(r.buf) > maxRequest {
			return nil, errTooLong
		}
		if whole := bytes.TrimSpace(r.buf); len(whole) > 0 && len(whole) < len(chunk) && whole[len(whole)-1] == '}' && json.Valid(whole) {
			r.buf = nil
			return whole, nil
		}
		if c, ok := r.conn.(*net.UnixConn); ok {
			if err := c.SetReadDeadline(deadline); err != nil {
				return nil, err
			}
		}
		n, err := r.conn.Read(chunk[:])
		if n > 0 {
			if len(r.buf) == 0 {
				deadline = time.Now().Add(requestTime)
			}
			r.buf = append(r.buf, chunk[:n]...)
			continue
		}
		if errors.Is(err, io.EOF) {
			if line := bytes.TrimSpace(r.buf); len(line) > 0 {
				r.buf = nil
				return line, nil
			}
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
}

// request is one request: exactly one field is set.
type request struct {
	Enroll           *enrollRequest
	EnrollAtExec     *enrollRequest
	Query            *queryRequest
	MakeRole         *profiles.AdHoc
	EnrollExecutable *executableRequest
	RemoveExecutable *executableRequest
	EnrollCgroup     *cgroupRequest
	RemoveCgroup     *cgroupRequest
	SetXattr         *executableRequest
	CheckXattr       *executableRequest
	RemoveXattr      *executableRequest
}

type enrollRequest struct {
	Pod  uint64  `json:"pod_id"`
	Role *uint32 `json:"role_id"`
}

type queryRequest struct {
	PID int `json:"pid"`
}

type executableRequest struct {
	Path string `json:"executable_path"`
	Pod  uint64 `json:"pod_id"`
	Role uint32 `json:"role_id"`
}

type cgroupRequest struct {
	Path string `json:"cgroup_path"`
	Pod  uint64 `json:"pod_id"`
	Role uint32 `json:"role_id"`
}

// info is what is known of a process or a file.
type info struct {
	Pod  uint64 `json:"pod_id"`
	Role uint32 `json:"role_id"`
}

func failure(err error) any { return map[string]string{"Error": err.Error()} }

// handle answers one request.
func (s *Server) handle(ctx context.Context, p *peer, line []byte) any {
	reply, err := s.try(ctx, p, line)
	if err != nil {
		return failure(err)
	}
	return reply
}

func (s *Server) try(ctx context.Context, p *peer, line []byte) (any, error) {
	kind, r, err := parseRequest(line)
	if err != nil {
		return nil, err
	}
	if err := p.alive(); err != nil {
		return nil, err
	}
	k, err := s.Open()
	if err != nil {
		return nil, err
	}
	defer k.Close()
	switch {
	case r.Enroll != nil:
		return s.enroll(ctx, k, p, r.Enroll, false)
	case r.EnrollAtExec != nil:
		return s.enroll(ctx, k, p, r.EnrollAtExec, true)
	case r.Query != nil:
		return query(k, p, r.Query.PID)
	case r.MakeRole != nil:
		return s.makeRole(p, r.MakeRole)
	}
	if err := administrator(k, p); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if s.Tables == nil {
		return nil, fmt.Errorf("%s is not available in this version", kind)
	}
	return s.tables(r)
}

// parseRequest reads an object with one key, which says what is asked.
func parseRequest(line []byte) (kind string, r request, err error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(line, &keys); err != nil {
		return "", r, fmt.Errorf("not a request: %w", err)
	}
	if len(keys) != 1 {
		return "", r, fmt.Errorf("a request has one key, this has %d", len(keys))
	}
	for kind = range keys {
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return kind, r, fmt.Errorf("not a request: %w", err)
	}
	if r == (request{}) {
		return kind, r, fmt.Errorf("%.64q: null is not a request", kind)
	}
	return kind, r, nil
}

func (s *Server) enroll(ctx context.Context, k Kernel, p *peer, r *enrollRequest, atExec bool) (any, error) {
	if r.Role == nil {
		return nil, errors.New("role_id is missing")
	}
	s.stamping.Lock()
	defer s.stamping.Unlock()
	err := k.Stamp(ctx, loader.Stamp{
		PID: p.pid, Start: p.start, UID: p.uid, Roles: []uint32{*r.Role}, Pod: r.Pod, AtExec: atExec,
	})
	if err == nil {
		err = p.alive()
	}
	if err != nil {
		return nil, err
	}
	s.Log.Info("enrolled", "pid", p.pid, "uid", p.uid, "role", *r.Role, "pod", r.Pod, "at_exec", atExec)
	return "Success", nil
}

// makeRole makes a role of the rules of one `jail run`, which the client may enter for as
// long as it is connected. Such a role only adds to what holds already.
func (s *Server) makeRole(p *peer, rules *profiles.AdHoc) (any, error) {
	switch {
	case s.MakeRole == nil:
		return nil, errors.New("MakeRole is not available in this version")
	case p.release != nil:
		return nil, errors.New("a connection makes one role")
	}
	p.client.making.Lock()
	defer p.client.making.Unlock()
	id, release, err := s.MakeRole(p.uid, rules)
	if err != nil {
		return nil, err
	}
	p.release = release
	s.Log.Info("role made", "pid", p.pid, "uid", p.uid, "role", id)
	return map[string]roleMade{"RoleMade": {id}}, nil
}

type roleMade struct {
	Role uint32 `json:"role_id"`
}

// MakeRole has the server at the enrollment socket make a role of rules, whose paths are
// canonical. It can be entered until close, or the exec that enters it.
func MakeRole(rules *profiles.AdHoc) (id uint32, close func() error, err error) {
	fail := func(err error) (uint32, func() error, error) {
		return 0, nil, fmt.Errorf("enrollment socket: %w", err)
	}
	line, err := json.Marshal(map[string]any{"MakeRole": rules})
	if err != nil {
		return fail(err)
	}
	if len(line) >= maxRequest {
		return fail(fmt.Errorf("the rules take %d bytes, %w", len(line), errTooLong))
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: loader.EnrollmentSocket, Net: "unix"})
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	// Whoever listens there makes the jail: it must be root's.
	if err := listenerIsRoots(conn); err != nil {
		return fail(err)
	}
	if err := conn.SetDeadline(time.Now().Add(makeTime)); err != nil {
		return fail(err)
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return fail(err)
	}
	var answer struct {
		RoleMade *roleMade
		Error    string
	}
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return fail(err)
	}
	if answer.RoleMade == nil {
		return fail(errors.New(answer.Error))
	}
	return answer.RoleMade.Role, conn.Close, nil
}

// query tells the innermost jail of a process: root outside any jail may ask about all,
// a user about its own, a subject about itself.
func query(k Kernel, p *peer, pid int) (any, error) {
	if pid <= 0 {
		return nil, fmt.Errorf("%d is no process id", pid)
	}
	pidfd := p.pidfd
	if pid != p.pid {
		var err error
		if pidfd, err = unix.PidfdOpen(pid, 0); err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
		defer unix.Close(pidfd)
		if err := mayAsk(k, p, pid); err != nil {
			return nil, err
		}
	}
	list, err := k.MembershipOf(pidfd)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("process %d is not jailed", pid)
	}
	last := list[len(list)-1]
	return map[string]info{"ProcessInfo": {last.Pod, last.Role}}, nil
}

func mayAsk(k Kernel, p *peer, pid int) error {
	own, err := k.MembershipOf(p.pidfd)
	if err != nil {
		return err
	}
	uid, _, err := processOf(pid)
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, unix.ESRCH)
	}
	if len(own) > 0 || (p.uid != 0 && p.uid != uid) {
		return fmt.Errorf("process %d: %w", pid, unix.EPERM)
	}
	return nil
}

// administrator refuses all but root outside any jail.
func administrator(k Kernel, p *peer) error {
	list, err := k.MembershipOf(p.pidfd)
	if err != nil {
		return err
	}
	if len(list) > 0 || !p.isAdmin() {
		return errors.New("only for root outside any jail")
	}
	return nil
}

func (s *Server) tables(r request) (any, error) {
	var err error
	switch t := s.Tables; {
	case r.EnrollExecutable != nil:
		err = t.EnrollExecutable(r.EnrollExecutable.Path, r.EnrollExecutable.Pod, r.EnrollExecutable.Role)
	case r.RemoveExecutable != nil:
		err = t.RemoveExecutable(r.RemoveExecutable.Path)
	case r.EnrollCgroup != nil:
		err = t.EnrollCgroup(r.EnrollCgroup.Path, r.EnrollCgroup.Pod, r.EnrollCgroup.Role)
	case r.RemoveCgroup != nil:
		err = t.RemoveCgroup(r.RemoveCgroup.Path)
	case r.SetXattr != nil:
		err = t.SetXattr(r.SetXattr.Path, r.SetXattr.Pod, r.SetXattr.Role)
	case r.RemoveXattr != nil:
		err = t.RemoveXattr(r.RemoveXattr.Path)
	case r.CheckXattr != nil:
		pod, role, err := t.CheckXattr(r.CheckXattr.Path)
		if err != nil {
			return nil, err
		}
		return map[string]info{"XattrInfo": {pod, role}}, nil
	}
	if err != nil {
		return nil, err
	}
	return "Success", nil
}

// Listen makes the socket, which everybody may connect to, in a directory that only root
// may change. A socket that nobody listens on is replaced.
func Listen(path, dir string) (*net.UnixListener, error) {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return nil, fmt.Errorf("%s: must be a directory that only its owner, uid %d, can write to", dir, os.Geteuid())
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	address := &net.UnixAddr{Name: path, Net: "unix"}
	if conn, err := net.DialUnix("unix", nil, address); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w: another jail serve listens", path, unix.EADDRINUSE)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", address)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return listener, nil
}
