//go:build vm

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const socketPath = "/run/bpfjailer/enrollment.sock"

// client is the six lines of the README, as a module.
const client = `
import json, socket
def ask(request):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/bpfjailer/enrollment.sock")
    s.sendall(json.dumps(request).encode() + b"\n")
    return json.loads(s.makefile().readline())
`

// serveSocket starts jail serve and stops it at the test's end, which must be clean.
func serveSocket(t *testing.T) *exec.Cmd {
	t.Helper()
	load(t)
	cmd := exec.Command(jailPath, "serve")
	cmd.Env = []string{} // as a unit has it
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("serve: %v: %s", err, stderr.String())
		}
	})
	waitFor(t, "the socket", func() bool {
		conn, err := net.Dial("unix", socketPath)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return cmd
}

// python runs a script after the client, as root or as the user.
func python(t *testing.T, as func(*testing.T, string, ...string) result, script string) string {
	t.Helper()
	r := as(t, "python3", "-S", "-E", "-c", client+script)
	if r.status != 0 || r.stderr != "" {
		t.Errorf("python: status %d %v: %s%s", r.status, r.signal, r.stdout, r.stderr)
	}
	return strings.TrimSpace(r.stdout)
}

// connects prints what connecting to a closed port gives: refused, or denied by the role.
const connects = `
def connects():
    s = socket.socket()
    try: s.connect(("127.0.0.1", 9))
    except PermissionError: return "denied"
    except ConnectionRefusedError: return "refused"
`

func TestSocketEnrollsTheCaller(t *testing.T) {
	serveSocket(t)
	for _, as := range []func(*testing.T, string, ...string) result{run, runAsUser} {
		got := python(t, runAsUser, connects+`
print(connects(), ask({"Enroll": {"pod_id": 0, "role_id": 5}}), connects())`)
		if got != "refused Success denied" {
			t.Errorf("before, answer, after: %s", got)
		}
		got = python(t, as, `
import os
print(ask({"Enroll": {"pod_id": 0, "role_id": 2}}), ask({"Enroll": {"pod_id": 0, "role_id": 7}}))
pid = os.getpid()
info = ask({"Query": {"pid": pid}})["ProcessInfo"]
print(info["role_id"], info["pod_id"] > 0, sorted(info), ask({"Query": {"pid": 1}}))`)
		if !strings.HasPrefix(got, "Success Success\n7 True ['pod_id', 'role_id'] {'Error': ") {
			t.Errorf("query: %s", got)
		}
	}
}

// TestSocketTakesWhoConnected: not who sends the request, not who has the same number.
func TestSocketTakesWhoConnected(t *testing.T) {
	serveSocket(t)
	const passed = connects + `
import os, time
s = socket.socket(socket.AF_UNIX)
s.connect("/run/bpfjailer/enrollment.sock")
def request():
    s.sendall(b'{"Enroll": {"pod_id": 0, "role_id": 5}}\n')
    return s.makefile().readline().strip()
`
	for _, as := range []func(*testing.T, string, ...string) result{run, runAsUser} {
		got := python(t, as, passed+`
if not os.fork():
    print("sender:", request(), connects(), flush=True)
    os._exit(0)
os.wait()
print("connected:", connects())`)
		if got != "sender: \"Success\" refused\nconnected: denied" {
			t.Errorf("a connection of the parent's: %s", got)
		}
		got = python(t, as, passed+`
other = socket.socketpair()
if not os.fork(): # who connected is its child, and ends; it speaks for nobody then
    pid = os.fork()
    if not pid:
        s = socket.socket(socket.AF_UNIX)
        s.connect("/run/bpfjailer/enrollment.sock")
        socket.send_fds(other[1], [b"x"], [s.fileno()])
        os._exit(0)
    os.wait()
    fd = socket.recv_fds(other[0], 1, 1)[1][0]
    s = socket.socket(fileno=fd)
    time.sleep(0.2)
    try: answer = request()
    except (BrokenPipeError, ConnectionResetError): answer = ""
    print("orphan:", answer == "" or "Error" in answer, connects(), flush=True)
    os._exit(0)
os.wait()`)
		if got != "orphan: True refused" {
			t.Errorf("a connection of a process that ended: %s", got)
		}
	}
	// In a process namespace of its own a client has another number than outside.
	r := run(t, "unshare", "--pid", "--fork", "--mount-proc", "python3", "-S", "-E", "-c", client+connects+`
import os
print(os.getpid(), ask({"Enroll": {"pod_id": 0, "role_id": 5}}), connects())`)
	if strings.TrimSpace(r.stdout) != "1 Success denied" {
		t.Errorf("a process namespace: %s %s", r.stdout, r.stderr)
	}
	run(t, "python3", "-S", "-E", "-c", "import socket"+connects+"print(connects())").want(t, 0)
	// The exec of a thread that is not the first takes its number, and stays in the jail.
	got := python(t, runAsUser, connects+`
import os, sys, threading, time
def later():
    time.sleep(0.5)
    os.execv("/usr/bin/python3", ["python3", "-S", "-E", "-c", sys.argv[1]])
threading.Thread(target=later).start()
sys.argv[1:] = ["""import socket`+connects+`print(connects())"""]
print(ask({"Enroll": {"pod_id": 0, "role_id": 7}}), flush=True)
time.sleep(60)`)
	if got != "Success\ndenied" {
		t.Errorf("exec from another thread: %s", got)
	}
}

func TestSocketArmsTheNextExec(t *testing.T) {
	serveSocket(t)
	r := runAsUser(t, "python3", "-S", "-E", "-c", client+connects+`
import os
print(ask({"EnrollAtExec": {"pod_id": 4711, "role_id": 1}}), connects(), flush=True)
if not os.fork():
    os.execv("/bin/cat", ["cat", "/etc/hostname"])
os.wait()
os.execv("/bin/cat", ["cat", "/etc/hostname"])`)
	hostname, err := os.ReadFile("/etc/hostname")
	if err != nil {
		t.Fatal(err)
	}
	// a child forked before is another process and not armed; the caller is
	r.want(t, 1, "cat: /etc/hostname: Permission denied")
	if want := "Success refused\n" + string(hostname); r.stdout != want {
		t.Errorf("output %q, want %q", r.stdout, want)
	}
}

func TestSocketStampsThreadsThatCloneMeanwhile(t *testing.T) {
	serveSocket(t)
	for round := range 5 {
		cmd := exec.Command("python3", "-S", "-E", "-c", client+`
import threading, time, os
stop = time.monotonic() + 3
def breed():
    while time.monotonic() < stop:
        x = threading.Thread(target=time.sleep, args=(0.3,)); x.start(); time.sleep(0.002)
for _ in range(4): threading.Thread(target=breed).start()
time.sleep(0.3)
print(ask({"Enroll": {"pod_id": 0, "role_id": 5}}), flush=True)
input()
stop = 0
os._exit(0)`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var answer [64]byte
		n, _ := out.Read(answer[:])
		if got := strings.TrimSpace(string(answer[:n])); got != "Success" {
			t.Errorf("answer: %s", got)
		}
		var outside []string
		for range 3 {
			// the directory first: who is in it and still alive must be a subject
			tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", cmd.Process.Pid))
			jailed := map[string]bool{}
			for _, s := range subjects(t) {
				jailed[fmt.Sprint(s["tid"])] = true
			}
			for _, task := range tasks {
				if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%s", cmd.Process.Pid, task.Name())); err == nil && !jailed[task.Name()] {
					outside = append(outside, task.Name())
				}
			}
		}
		if len(outside) > 0 {
			t.Errorf("round %d: threads outside: %v", round, outside)
		}
		_, _ = in.Write([]byte("\n"))
		_ = cmd.Wait()
	}
}

func TestSocketRefusesRolesThatAreNotOpen(t *testing.T) {
	installRoles(t)
	serveSocket(t)
	for role, want := range map[int]string{201: "Success", 202: "Error", 203: "Success", 204: "Error"} {
		got := python(t, runAsUser, fmt.Sprintf(connects+`
print(ask({"Enroll": {"pod_id": 0, "role_id": %d}}), connects())`, role))
		after := map[string]string{"Success": "denied", "Error": "refused"}[want]
		if !strings.Contains(got, want) || !strings.HasSuffix(got, after) {
			t.Errorf("role %d: %s, want %s, %s", role, got, want, after)
		}
		if got := python(t, run, fmt.Sprintf(`print(ask({"Enroll": {"pod_id": 0, "role_id": %d}}))`, role)); got != "Success" {
			t.Errorf("root enters every role: %s", got)
		}
	}
	if got := python(t, runAsUser, `print(ask({"Enroll": {"pod_id": 0, "role_id": 99999}}))`); !strings.Contains(got, "not loaded") {
		t.Errorf("unknown role: %s", got)
	}
}

// installRoles gives the configuration roles for some users and groups only.
func installRoles(t *testing.T) {
	t.Helper()
	load(t)
	file := "/etc/jail/roles.d/entrants.toml"
	text := `
[roles.for-user]
id = 201
users = ["user"]
allow_file_access = true
allow_exec = true
[roles.for-root]
id = 202
users = ["root"]
allow_file_access = true
allow_exec = true
[roles.for-group]
id = 203
groups = ["1000"]
allow_file_access = true
allow_exec = true
[roles.for-nobody]
id = 204
allow_file_access = true
allow_exec = true
`
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	run(t, jailPath, "reload").want(t, 0)
	t.Cleanup(func() { _ = os.Remove(file) })
}

func TestRolesAreForTheirUsersAndGroups(t *testing.T) {
	installRoles(t)
	marker := filepath.Join("/tmp", "ran-"+t.Name())
	for role, open := range map[string]bool{"for-user": true, "for-root": false, "for-group": true, "for-nobody": false} {
		_ = os.Remove(marker)
		r := runAsUser(t, jailPath, "run", "--role", role, "--", "touch", marker)
		_, err := os.Stat(marker)
		switch {
		case open && (r.status != 0 || err != nil):
			t.Errorf("%s: %d %s", role, r.status, r.stderr)
		case !open:
			r.want(t, 125, "not open to this user")
			if err == nil {
				t.Errorf("%s: the command ran", role)
			}
		}
		run(t, jailPath, "run", "--role", role, "--", "true").want(t, 0)
	}
	// by a supplementary group
	cmd := exec.Command(jailPath, "run", "--role", "for-group", "--", "true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234, Groups: []uint32{5, 1000}}}
	runCommand(t, cmd).want(t, 0)
	cmd = exec.Command(jailPath, "run", "--role", "for-group", "--", "true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234, Groups: []uint32{5, 1001}}}
	runCommand(t, cmd).want(t, 125, "not open to this user")
	// a name that does not exist is a mistake with a place
	file := "/etc/jail/roles.d/nosuch.toml"
	if err := os.WriteFile(file, []byte("[roles.x]\nid = 205\nusers = [\"no-such-user\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	run(t, jailPath, "reload").want(t, 1, "nosuch.toml:3", "no-such-user")
}

func TestSocketEnrollmentOnlyTakesAway(t *testing.T) {
	serveSocket(t)
	// a subject stacks: whatever the second role opens, the first still counts
	got := python(t, runAsUser, connects+`
print(ask({"Enroll": {"pod_id": 0, "role_id": 5}}), connects(), ask({"Enroll": {"pod_id": 0, "role_id": 2}}), connects())`)
	if got != "Success denied Success denied" {
		t.Errorf("stacking: %s", got)
	}
	// eight and no more
	got = python(t, runAsUser, `
print([ask({"Enroll": {"pod_id": 0, "role_id": 2}}) for _ in range(9)])`)
	if strings.Count(got, "'Success'") != 8 || !strings.Contains(got, "at most 8") {
		t.Errorf("nine roles: %s", got)
	}
	// no exec gains afterwards, although the role permits it
	script := `
import subprocess
%s
p = subprocess.Popen(["/bin/sh", "-c", "exec su --version"], stdout=-1, stderr=-1)
out, err = p.communicate()
print(p.returncode, "not permitted" in err.decode())`
	if got := python(t, runAsUser, fmt.Sprintf(script, "")); got != "0 False" {
		t.Errorf("su outside: %s", got)
	}
	if got := python(t, runAsUser, fmt.Sprintf(script, `ask({"Enroll": {"pod_id": 0, "role_id": 2}})`)); !strings.HasSuffix(got, "True") {
		t.Errorf("su after enrollment into permissive: %s", got)
	}
	// another user's pod is closed
	cmd := exec.Command(jailPath, "run", "--role", "isolated", "--pod", "991", "--", "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	waitFor(t, "pod 991", func() bool { return len(subjects(t)) > 0 })
	if got := python(t, runAsUser, connects+`print(ask({"Enroll": {"pod_id": 991, "role_id": 5}}), connects())`); !strings.Contains(got, "another user") || !strings.HasSuffix(got, "refused") {
		t.Errorf("another user's pod: %s", got)
	}
}

func TestSocketAdministrationIsForRootOutside(t *testing.T) {
	serveSocket(t)
	requests := `
for kind, key in (("EnrollExecutable", "executable_path"), ("RemoveExecutable", "executable_path"), ("EnrollCgroup", "cgroup_path"),
        ("RemoveCgroup", "cgroup_path"), ("SetXattr", "executable_path"), ("CheckXattr", "executable_path"), ("RemoveXattr", "executable_path")):
    print(ask({kind: {key: "/tmp/nosuch", "pod_id": 1, "role_id": 5}}))`
	for name, got := range map[string]string{
		"user":        python(t, runAsUser, requests),
		"jailed root": python(t, run, `ask({"Enroll": {"pod_id": 0, "role_id": 2}})`+requests),
	} {
		if strings.Count(got, "only for root outside any jail") != 7 {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := python(t, run, requests); strings.Contains(got, "only for root") {
		t.Errorf("root: %s", got)
	}
}

// TestSocketTables: the original system's requests about executables and control groups.
func TestSocketTables(t *testing.T) {
	serveSocket(t)
	const app, group = "/var/tmp/asked", "/asked.slice"
	data, err := os.ReadFile("/bin/cat")
	if err == nil {
		err = os.WriteFile(app, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(app) })
	ask := func(kind, key, path, want string) {
		t.Helper()
		got := python(t, run, fmt.Sprintf(`print(json.dumps(ask({%q: {%q: %q, "pod_id": 77, "role_id": 1}})))`, kind, key, path))
		if !strings.Contains(got, want) {
			t.Errorf("%s %s: %s, want %s", kind, path, got, want)
		}
	}
	state := func(when string, want bool) {
		t.Helper()
		if got := denied(t, app); got != want {
			t.Errorf("%s: jailed %v, want %v", when, got, want)
		}
	}
	state("control", false)
	ask("EnrollExecutable", "executable_path", app, `"Success"`)
	state("EnrollExecutable", true)
	run(t, jailPath, "reload").want(t, 0)
	state("after a reload", true)
	ask("RemoveExecutable", "executable_path", app, `"Success"`)
	state("RemoveExecutable", false)

	ask("CheckXattr", "executable_path", app, "no data available")
	ask("SetXattr", "executable_path", app, `"Success"`)
	state("SetXattr", true)
	ask("CheckXattr", "executable_path", app, `{"XattrInfo": {"pod_id": 77, "role_id": 1}}`)
	run(t, jailPath, "marks", "--check").want(t, 0)
	ask("RemoveXattr", "executable_path", app, `"Success"`)
	state("RemoveXattr", false)
	ask("CheckXattr", "executable_path", app, "no data available")

	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err != nil {
		if err := unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll("/sys/fs/cgroup"+group, 0o755); err != nil {
		t.Fatal(err)
	}
	there := exec.Command("sleep", "1000")
	if err := there.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = there.Process.Kill(); _ = there.Wait() }()
	inside := func() bool {
		return run(t, "sh", "-c", "echo $$ > /sys/fs/cgroup"+group+"/cgroup.procs; exec cat /etc/hostname").status != 0
	}
	if err := os.WriteFile("/sys/fs/cgroup"+group+"/cgroup.procs", fmt.Append(nil, there.Process.Pid), 0); err != nil {
		t.Fatal(err)
	}
	if inside() {
		t.Error("control: jailed before the control group was listed")
	}
	ask("EnrollCgroup", "cgroup_path", group, `"Success"`)
	if !inside() {
		t.Error("EnrollCgroup: not jailed")
	}
	found := false
	for _, s := range subjects(t) {
		found = found || s["pid"] == float64(there.Process.Pid)
	}
	if !found {
		t.Error("EnrollCgroup: who was there stays outside")
	}
	run(t, jailPath, "reload").want(t, 0)
	if !inside() {
		t.Error("EnrollCgroup: not jailed after a reload")
	}
	ask("RemoveCgroup", "cgroup_path", group, `"Success"`)
	if inside() {
		t.Error("RemoveCgroup: still jailed")
	}
	ask("RemoveCgroup", "cgroup_path", group, "not listed")

	for _, bad := range []struct{ kind, key, path, want string }{
		{"EnrollExecutable", "executable_path", "cat", "not an absolute path"},
		{"EnrollExecutable", "executable_path", "/nosuch", "no such file"},
		{"EnrollExecutable", "executable_path", "/tmp", "not a regular file"},
		{"SetXattr", "executable_path", "/nosuch", "no such file"},
		{"EnrollCgroup", "cgroup_path", "/", "process 1"},
		{"EnrollCgroup", "cgroup_path", "x", "not a path"},
		{"EnrollCgroup", "cgroup_path", "/a/../init.scope", "not a path"},
	} {
		ask(bad.kind, bad.key, bad.path, bad.want)
	}
	if got := python(t, run, `print(ask({"EnrollExecutable": {"executable_path": "`+app+`", "role_id": 4242}}))`); !strings.Contains(got, "role 4242 is not loaded") {
		t.Errorf("an unknown role: %s", got)
	}
}

// dial connects, as root, and gives a function that sends bytes and reads one answer.
func dial(t *testing.T) (net.Conn, func(string) string) {
	t.Helper()
	conn, err := net.Dial("unix", socketPath)
	if err != nil {
		t.Fatal(err)
	}
	return conn, func(text string) string {
		_, _ = conn.Write([]byte(text))
		var buf [4096]byte
		_ = conn.SetReadDeadline(time.Now().Add(60 * time.Second))
		n, err := conn.Read(buf[:])
		if err != nil {
			return err.Error()
		}
		return string(buf[:n])
	}
}

func descriptors(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestSocketSurvivesHostileClients(t *testing.T) {
	cmd := serveSocket(t)
	const good = `{"Query": {"pid": 1}}` + "\n"
	check := func(when string) {
		t.Helper()
		conn, ask := dial(t)
		defer conn.Close()
		if got := ask(good); !strings.Contains(got, "process 1 is not jailed") {
			t.Fatalf("%s: %q", when, got)
		}
	}
	check("first")
	waitFor(t, "quiet", func() bool { return descriptors(t, cmd) < 80 }) // the maps are held open
	before := descriptors(t, cmd)
	for _, text := range []string{
		"\x00\n", "{\n", "[]\n", "null\n", "7\n", `"Enroll"` + "\n", "{}\n", `{"Enroll":null}` + "\n", `{"Enroll":{}}` + "\n",
		`{"Enroll":{"role_id":-1}}` + "\n", `{"Enroll":{"role_id":5,"pod_id":1e30}}` + "\n", `{"Enroll":{"role_id":5,"more":1}}` + "\n",
		`{"Enroll":{"role_id":5},"Query":{"pid":1}}` + "\n", `{"Nosuch":{}}` + "\n", `{"Query":{"pid":0}}` + "\n",
		`{"Query":{"pid":-1}}` + "\n", `{"Query":{"pid":99999999}}` + "\n", strings.Repeat("[", 60000) + "\n",
	} {
		conn, ask := dial(t)
		if got := ask(text); !strings.HasPrefix(got, `{"Error":`) {
			t.Errorf("%.40q: %q", text, got)
		}
		// the connection still serves
		if got := ask(good); !strings.Contains(got, "not jailed") {
			t.Errorf("after %.40q: %q", text, got)
		}
		conn.Close()
	}
	conn, ask := dial(t)
	if got := ask(strings.Repeat("x", 1<<20)); !strings.Contains(got, "at most 65536") {
		t.Errorf("oversized: %q", got)
	}
	conn.Close()
	// no line end, and a half-closed connection
	conn, ask = dial(t)
	if got := ask(strings.TrimSpace(good)); !strings.Contains(got, "not jailed") {
		t.Errorf("without a line end: %q", got)
	}
	conn.Close()
	// several at once, and one in pieces
	conn, _ = dial(t)
	_, _ = conn.Write([]byte(good + good + good[:5]))
	_, _ = conn.Write([]byte(good[5:]))
	d := json.NewDecoder(conn)
	for range 3 {
		var answer map[string]string
		if err := d.Decode(&answer); err != nil || !strings.Contains(answer["Error"], "not jailed") {
			t.Errorf("pipelined: %v %v", answer, err)
		}
	}
	conn.Close()
	// 1,000 at once, a third of them silent, a third slow, a third never reading
	var wait sync.WaitGroup
	conns := make([]net.Conn, 1000)
	for i := range conns {
		wait.Add(1)
		go func() {
			defer wait.Done()
			c, err := net.Dial("unix", socketPath)
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			conns[i] = c
			switch i % 3 {
			case 1:
				_, _ = c.Write([]byte(good[:1+i%15]))
			case 2:
				_, _ = c.Write([]byte(good))
			}
		}()
	}
	wait.Wait()
	check("among 1,000")
	for i, c := range conns {
		if c == nil {
			continue
		}
		if i%3 == 1 { // the slow ones end
			_, _ = c.Write([]byte(good[1+i%15:]))
		}
		if i%3 != 0 {
			var buf [256]byte
			_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
			if n, err := c.Read(buf[:]); err != nil || !bytes.Contains(buf[:n], []byte("not jailed")) {
				t.Fatalf("connection %d: %q %v", i, buf[:n], err)
			}
		}
		_ = c.Close()
	}
	waitFor(t, "the descriptors' end", func() bool { return descriptors(t, cmd) <= before })
	check("last")
}

func TestTenThousandEnrollmentsInARow(t *testing.T) {
	cmd := serveSocket(t)
	enroll := func(count int) {
		t.Helper()
		got := python(t, runAsUser, connects+`
import os, sys
bad = 0
for i in range(`+fmt.Sprint(count)+` // 8): # a process takes eight
    pid = os.fork()
    if not pid:
        s = socket.socket(socket.AF_UNIX)
        s.connect("/run/bpfjailer/enrollment.sock")
        answers = s.makefile()
        for _ in range(8):
            s.sendall(b'{"Enroll": {"pod_id": 0, "role_id": 5}}\n')
            if answers.readline() != '"Success"\n' or connects() != "denied": os._exit(1)
        os._exit(0)
    bad += os.waitpid(pid, 0)[1] != 0
print(bad, connects())`)
		if got != "0 refused" {
			t.Errorf("failures, and the parent itself: %s", got)
		}
	}
	memory := func() int {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		var size, resident int
		if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
			t.Fatal(err)
		}
		return resident * os.Getpagesize()
	}
	enroll(1000) // what it opens once and allocates at first
	before, used := descriptors(t, cmd), memory()
	enroll(9000)
	if more := memory() - used; more > 4<<20 {
		t.Errorf("jail serve grew by %d bytes", more)
	}
	waitFor(t, "the descriptors' end", func() bool { return descriptors(t, cmd) <= before })
	for _, name := range []string{"domains", "pods", "stamps"} {
		waitFor(t, "empty "+name, func() bool { return mapEntries(t, name) == 0 })
	}
}

func TestServeTakesItsSocketFromSystemd(t *testing.T) {
	load(t)
	notify := filepath.Join(t.TempDir(), "notify")
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	path := filepath.Join(t.TempDir(), "sock")
	cmd := exec.Command("systemd-socket-activate", "-l", path, "-E", "NOTIFY_SOCKET="+notify, jailPath, "serve")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Signal(unix.SIGTERM); _ = cmd.Wait() }()
	var conn net.Conn
	waitFor(t, "the socket", func() bool {
		conn, err = net.Dial("unix", path)
		return err == nil
	})
	defer conn.Close()
	_, _ = conn.Write([]byte(`{"Query": {"pid": 1}}` + "\n"))
	var buf [256]byte
	n, err := conn.Read(buf[:])
	if err != nil || !strings.Contains(string(buf[:n]), "not jailed") {
		t.Errorf("answer: %q %v", buf[:n], err)
	}
	_ = ready.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, err = ready.Read(buf[:])
	if err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("notification: %q %v", buf[:n], err)
	}
}

// TestServeNoticesMountsAtOnce: without a `jail run` of root's in between.
func TestServeNoticesMountsAtOnce(t *testing.T) {
	serveSocket(t)
	read := func(dir string) result {
		return runAsUser(t, jailPath, "run", "--role", "restricted", "--", "cat", dir+"/file")
	}
	const open, closed = "/usr/share/zoneinfo/served", "/srv/served"
	for _, dir := range []string{open, closed} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), unix.Mount("none", dir, "tmpfs", 0, "")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		if err := os.WriteFile(dir+"/file", []byte("served"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if read(open).status == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	read(open).want(t, 0)
	runAsUser(t, "cat", closed+"/file").want(t, 0)
	read(closed).want(t, 1, "Permission denied")
}
