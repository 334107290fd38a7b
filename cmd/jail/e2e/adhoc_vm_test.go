//go:build vm

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// project is a directory with a Makefile, a source, and a secret; open to everyone.
func project(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/srv", "project")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range map[string]string{
		"Makefile": "out: in\n\tsed s/in/out/ in >out.tmp\n\tmv out.tmp out\n",
		"in":       "in\n", ".env": "SECRET\n", "sub/.env": "SECRET\n", "sub/plain": "plain\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// jailIn runs a command with rules in a directory.
func jailIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	cmd := exec.Command(jailPath, append([]string{"run"}, args...)...)
	cmd.Dir = dir
	return runCommand(t, cmd)
}

func TestMakeRunsWithItsDirectoryAndTheSystemOnly(t *testing.T) {
	load(t)
	dir := project(t)
	jailIn(t, dir, "-r", "/usr", "-r", "/etc", "-w", ".", "--", "make").want(t, 0)
	if out, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(out) != "out\n" {
		t.Errorf("out: %q, %v", out, err)
	}
	outside := project(t)
	r := jailIn(t, dir, "-r", "/usr", "-r", "/etc", "-w", ".", "--", "cat", outside+"/in")
	r.want(t, 1, "Permission denied")
	r = jailIn(t, dir, "-r", "/usr", "-r", "/etc", "-w", ".", "--", "sh", "-c", "echo x >"+outside+"/new")
	r.want(t, 2, "Permission denied")
	jailIn(t, dir, "-r", "/usr", "-r", "/etc", "-w", ".", "-w", outside, "--", "sh", "-c", "echo x >"+outside+"/new").want(t, 0)
	jailIn(t, dir, "-r", "/usr", "-r", ".", "--", "sh", "-c", "echo x >new").want(t, 2, "Permission denied")
}

func TestExecBecomesAnAllowListWithTheFirstX(t *testing.T) {
	load(t)
	dir := project(t)
	jailIn(t, dir, "-r", "/usr", "-w", ".", "--", "sh", "-c", "cat in").want(t, 0)
	jailIn(t, dir, "-r", "/usr", "-w", ".", "-x", "/usr/bin/dash", "--", "dash", "-c", "cat in").want(t, 126, "Permission denied")
	jailIn(t, dir, "-r", "/usr", "-w", ".", "-x", "/usr/bin/dash", "-x", "/usr/bin/cat", "--", "dash", "-c", "cat in").want(t, 0)
}

func TestDenyHoldsInsideWhatIsAllowed(t *testing.T) {
	load(t)
	dir := project(t)
	for _, args := range [][]string{
		{"--deny", "**/.env"},
		{"-r", "/", "--deny", "**/.env"},
		{"-r", "/", "-r", "sub/.env", "--deny", "**/.env"},
		{"--role", "permissive", "--deny", "**/.env"},
		{"--role", "isolated", "-r", "sub/.env", "--deny", "sub"},
	} {
		jailIn(t, dir, append(args, "--", "cat", "sub/.env")...).want(t, 1, "Permission denied")
	}
	jailIn(t, dir, "--deny", "**/.env", "--", "cat", "sub/plain", "in").want(t, 0)
	jailIn(t, dir, "--deny", "**/.env", "--", "sh", "-c", "echo x >later/.env || mkdir later && echo x >later/.env").want(t, 2, "Permission denied")
	// Another name for the place changes nothing.
	link := filepath.Join(dir, "link")
	if err := os.Symlink("sub", link); err != nil {
		t.Fatal(err)
	}
	jailIn(t, dir, "--deny", "link", "--", "cat", "sub/plain").want(t, 1, "Permission denied")
}

func TestAtomicSaveWorksWhereWritingIsAllowed(t *testing.T) {
	load(t)
	dir := project(t)
	script := "import os,tempfile; f=tempfile.NamedTemporaryFile('w',dir='.',delete=False); f.write('new'); f.flush(); os.fsync(f.fileno()); os.rename(f.name,'in')"
	jailIn(t, dir, "-r", "/usr", "-r", "/etc", "-w", ".", "--deny", "**/.env", "--", "python3", "-c", script).want(t, 0)
	if data, err := os.ReadFile(filepath.Join(dir, "in")); err != nil || string(data) != "new" {
		t.Errorf("in: %q, %v", data, err)
	}
}

func TestNetworkRulesOfTheCommandLine(t *testing.T) {
	load(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprint(c, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_ = c.Close()
		}
	}()
	port := fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
	url := "http://127.0.0.1:" + port + "/"
	run(t, "curl", "-s", "--http0.9", url).want(t, 0)
	const refused = 7 // curl: could not connect
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"--deny", "/nothing"}, 0},
		{[]string{"--connect", port}, 0},
		{[]string{"--connect", "127.0.0.0/8:" + port}, 0},
		{[]string{"--connect", "1-65535"}, 0},
		{[]string{"--no-net"}, refused},
		{[]string{"--connect", "1"}, refused},
		{[]string{"--connect", port + "/udp"}, refused},
		{[]string{"--connect", "192.0.2.0/24:" + port}, refused},
		{[]string{"--bind", port}, refused},
		{[]string{"--role", "worker"}, refused},
		{[]string{"--role", "worker", "--connect", port}, 0},
		{[]string{"--role", "permissive", "--no-net"}, refused},
	} {
		args := append(append([]string{"run"}, c.args...), "--", "curl", "-s", "--http0.9", url)
		if r := run(t, jailPath, args...); r.status != c.status {
			t.Errorf("%v: status %d, want %d: %s", c.args, r.status, c.status, r.stderr)
		}
	}
	// Users, and inside a jail root is one, need the socket.
	runAsUser(t, jailPath, "run", "--connect", port, "--", "curl", url).want(t, 125, "nobody listens", "jail-enroll.socket")
	run(t, jailPath, "run", "--role", "permissive", "--", jailPath, "run", "--connect", port, "--", "true").want(t, 125, "nobody listens")
	serveSocket(t)
	runAsUser(t, jailPath, "run", "--connect", port, "--", "curl", "-s", "--http0.9", url).want(t, 0)
	runAsUser(t, jailPath, "run", "--connect", "1", "--", "curl", "-s", "--http0.9", url).want(t, refused)
	run(t, jailPath, "run", "--role", "permissive", "--", jailPath, "run", "--connect", port, "--", "curl", "-s", "--http0.9", url).want(t, 0)
	run(t, jailPath, "run", "--role", "permissive", "--", jailPath, "run", "--connect", "1", "--", "curl", "-s", "--http0.9", url).want(t, refused)
	// An option of a user opens nothing that the role closes; root's does.
	runAsUser(t, jailPath, "run", "--role", "worker", "--connect", port, "--", "curl", "-s", "--http0.9", url).want(t, refused)
	run(t, jailPath, "run", "--role", "worker", "--", jailPath, "run", "--connect", port, "--", "curl", "-s", "--http0.9", url).want(t, refused)
}

func TestUsersRulesHoldAndOnlyNarrow(t *testing.T) {
	suid(t)
	serveSocket(t)
	before := status(t)["adhoc"]
	dir, err := os.MkdirTemp("/var/tmp", "rules")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	run(t, "bash", "-c", `cd `+dir+`; chmod 755 .; mkdir in out closed; ln -s in alias; ln -s /etc closed/etc; echo x >in/file; echo x >in/.env; chmod 700 closed; chown user in in/* out`).want(t, 0)
	for _, binary := range []string{jailPath, suidJail} {
		in := func(args ...string) result {
			cmd := userCommand(binary, append([]string{"run"}, args...)...)
			cmd.Dir = dir
			return runCommand(t, cmd)
		}
		const denied = "Permission denied"
		in("--deny", "**/.env", "--", "cat", "in/.env").want(t, 1, denied)
		in("--deny", "**/.env", "--", "cat", "in/file").want(t, 0)
		in("-r", "/usr", "-w", "alias", "--", "touch", "in/new").want(t, 0) // by what the link leads to
		in("-r", "/usr", "-w", "in", "--", "touch", "out/new").want(t, 1, denied)
		in("-r", "/usr", "-w", "${WHERE}", "--var", "WHERE="+dir+"/alias", "--", "touch", "in/new").want(t, 0)
		in("-w", ".", "--", "touch", "out/new").want(t, 0) // the control
		in("--no-net", "--", "python3", "-S", "-c", "import socket; socket.socket(socket.AF_PACKET)").want(t, 1)
		in("--role", "restricted", "-r", "/etc", "--", "cat", "/etc/hostname").want(t, 1, denied)
		in("--role", "permissive", "-r", "/etc", "--", "cat", "/etc/hostname").want(t, 0)
		in("--role", "permissive", "-r", "/usr", "--", "cat", "/etc/passwd").want(t, 1, denied)
		in("--deny", "/nothing", "--", "su", "-c", "true").want(t, 126, "gain privilege")
		in("-r", "closed/etc", "--", "true").want(t, 125, "permission denied") // not to be seen by this user
		if r := in("-r", "/usr", "--", "sh", "-c", "exit 7"); r.status != 7 {
			t.Errorf("the command's own status: %d %s", r.status, r.stderr)
		}
		// A jail within a jail: both hold.
		in("--deny", dir+"/in/file", "--", jailPath, "run", "--deny", "**/.env", "--", "cat", "in/.env").want(t, 1, denied)
		in("--deny", dir+"/in/file", "--", jailPath, "run", "--deny", "**/.env", "--", "cat", "in/file").want(t, 1, denied)
	}
	waitFor(t, "the end of the roles", func() bool { return status(t)["adhoc"] == before })

	// What a client asks for that is not ours. Links are not followed with root's rights.
	const more = `
import os
def rules(files, **others): return {"MakeRole": {"Files": files, **others}}
def file(path, access=1, place="command line: -r"): return {"Path": path, "Access": access, "Place": {"File": place}}
def hold(request):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/bpfjailer/enrollment.sock")
    s.sendall(json.dumps(request).encode() + b"\n")
    return s, json.loads(s.makefile().readline())
`
	for path, want := range map[string]int{"/etc": 0, dir + "/closed/etc": 1} {
		r := runAsUser(t, "python3", "-S", "-E", "-c", client+more+`
s, answer = hold(rules([file("/usr", 13), file("`+path+`")]))
assert ask({"EnrollAtExec": {"pod_id": 0, "role_id": answer["RoleMade"]["role_id"]}}) == "Success"
os.execv("/bin/cat", ["cat", "/etc/hostname"])`)
		if r.status != want {
			t.Errorf("%s: status %d, want %d: %s", path, r.status, want, r.stderr)
		}
	}
	for _, bad := range []string{
		`rules([file("relative")])`, `rules([file("/x", 255)])`, `rules([file("/x", 1, "/etc/jail/roles.d/web.toml")])`, `rules([])`,
		`rules([file("/${HOME}")])`, `rules([{**file("/x"), "Without": 1}])`, `rules([{**file("/x"), "CommandLine": True}])`, `rules([file("/x")], Users=["*"])`,
		`rules([], Network=[{"Protocol": 9, "Ports": {"First": 1, "Last": 2}, "Allow": True, "Place": {"File": "command line: x"}}])`,
		`rules([], Network=[{"Ports": {"First": 3, "Last": 2}, "Allow": True, "Place": {"File": "command line: x"}}])`,
		`rules([], Network=[{"Prefix": "10.1.2.3/8", "Ports": {"First": 1, "Last": 2}, "Allow": True, "Place": {"File": "command line: x"}}])`,
		`rules([], Unix=[{"Value": "relative", "Place": {"File": "command line: x"}}])`,
	} {
		if got := python(t, runAsUser, more+"print(ask("+bad+"))"); !strings.Contains(got, "'Error'") {
			t.Errorf("%s: %s", bad, got)
		}
	}
	// A role is its user's; how many one may have is bounded, each user's apart.
	cmd := userCommand("python3", "-S", "-E", "-c", client+more+`
held = [hold(rules([file("/usr")])) for _ in range(64)]
ids = {a["RoleMade"]["role_id"] for _, a in held}
s = held[0][0]
s.sendall(json.dumps(rules([file("/usr")])).encode() + b"\n")
print(len(ids), "own already" in str(hold(rules([file("/usr")]))[1]), "one role" in s.makefile().readline(), min(ids), flush=True)
input()`)
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	var id int
	if _, err := fmt.Sscanf(line, "64 True True %d", &id); err != nil {
		t.Errorf("64 roles: %q", line)
	}
	asOther := func(t *testing.T, name string, args ...string) result {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234}}
		return runCommand(t, cmd)
	}
	enter := fmt.Sprintf(`print(ask({"Enroll": {"pod_id": 0, "role_id": %d}}))`, id)
	if got := python(t, asOther, enter); !strings.Contains(got, "not open to this user") {
		t.Errorf("another user entered the role: %s", got)
	}
	if got := python(t, runAsUser, enter); got != "Success" {
		t.Errorf("its own user: %s", got)
	}
	asOther(t, jailPath, "run", "-r", "/usr", "--", "true").want(t, 0)
	runAsUser(t, jailPath, "run", "-r", "/usr", "--", "true").want(t, 125, "own already")
	run(t, jailPath, "run", "-r", "/usr", "--", "true").want(t, 0)
	_ = stdin.Close()
	_ = cmd.Wait()
	runAsUser(t, jailPath, "run", "-r", "/usr", "--", "true").want(t, 0)
	waitFor(t, "the end of the roles", func() bool { return status(t)["adhoc"] == before })
}

func TestUserIsWhoTheCommandRunsAs(t *testing.T) {
	load(t)
	show := []string{"--", "sh", "-c", "id -u; id -g; id -G; grep -E '^(Cap(Prm|Eff|Amb)|Uid)' /proc/self/status"}
	r := run(t, jailPath, append([]string{"run", "--role", "worker", "--user", "www-data"}, show...)...)
	r.want(t, 0)
	for _, want := range []string{"33\n33\n33\n", "Uid:\t33\t33\t33\t33", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("lacks %q: %s", want, r.stdout)
		}
	}
	r = run(t, jailPath, append([]string{"run", "--deny", "/nothing", "--user", "4242:4243"}, show...)...)
	r.want(t, 0)
	if !strings.Contains(r.stdout, "4242\n4243\n4243\n") {
		t.Errorf("ids: %s", r.stdout)
	}
	run(t, jailPath, "run", "--role", "worker", "--user", "4242", "--", "true").want(t, 125, "group")
	runAsUser(t, jailPath, "run", "--role", "worker", "--user", "root", "--", "true").want(t, 125, "root")
}

func TestVariablesOfOneRun(t *testing.T) {
	load(t)
	dir := project(t)
	jailIn(t, dir, "--deny", "${WHERE}/plain", "--var", "WHERE="+dir+"/sub", "--", "cat", "sub/plain").want(t, 1, "Permission denied")
	jailIn(t, dir, "--deny", "${WHERE}/plain", "--var", "WHERE="+dir, "--", "cat", "sub/plain").want(t, 0)
	jailIn(t, dir, "--deny", "${PWD}/in", "--", "cat", "in").want(t, 1, "Permission denied")
	jailIn(t, dir, "--deny", "${NONE}/in", "--", "cat", "in").want(t, 125, "unknown variable ${NONE}")
}

func status(t *testing.T) map[string]any {
	t.Helper()
	r := run(t, jailPath, "status", "--json")
	r.want(t, 0)
	var s map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestManyAdHocStartsHalfKilledLeaveNothing(t *testing.T) {
	load(t)
	before := status(t)["adhoc"]
	const starts, atOnce = 100, 25
	var wait sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range starts {
		slots <- struct{}{}
		cmd := exec.Command(jailPath, "run", "-r", "/usr", "-w", "/tmp", "--deny", "**/.env", "--", "/bin/true")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wait.Add(1)
		go func() {
			defer wait.Done()
			if i%2 == 0 {
				time.Sleep(time.Duration(i%400) * time.Millisecond)
				_ = cmd.Process.Kill()
			}
			if err := cmd.Wait(); i%2 == 1 && err != nil {
				t.Errorf("start %d: %v: %s", i, err, stderr.String())
			}
			<-slots
		}()
	}
	wait.Wait()
	waitFor(t, "the last subject's end", func() bool { return len(subjects(t)) == 0 })
	waitFor(t, "the end of all ad-hoc roles", func() bool { return status(t)["adhoc"] == before })
}

func TestHundredsOfAdHocJailsLiveAtOnce(t *testing.T) {
	load(t)
	const jails = 50
	var cmds []*exec.Cmd
	defer func() {
		for _, c := range cmds {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		waitFor(t, "the end of all ad-hoc roles", func() bool { return status(t)["adhoc"] == 0.0 })
	}()
	for range jails {
		c := exec.Command(jailPath, "run", "-r", "/usr", "--", "sleep", "1000")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, c)
	}
	waitFor(t, "all jails", func() bool { return len(subjects(t)) == jails })
	if n := status(t)["adhoc"]; n != float64(jails) {
		t.Errorf("%v ad-hoc roles, want %d", n, jails)
	}
}

func TestReloadTellsAndKeepsRolesThatVanished(t *testing.T) {
	load(t)
	dir := t.TempDir()
	rolesDir := filepath.Join(dir, "roles.d")
	if err := os.Mkdir(rolesDir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(rolesDir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	jail := func(args ...string) result { return run(t, jailPath, append(args, "--config", dir)...) }
	jail("reload").want(t, 0) // whatever other tests left loaded is orphaned from here on
	orphans := func() []any {
		list, _ := status(t)["orphaned"].([]any)
		return list
	}
	before := orphans()
	write("mine.toml", "[roles.mine]\nid = 300\nallow_file_access = true\nusers = [\"*\"]\n[[roles.mine.files]]\npath = \"/etc/hostname\"\ndeny = true\n")
	if r := jail("reload", "--dry-run"); !strings.Contains(r.stdout, "+  300  mine") {
		t.Errorf("new role: %q %s", r.stdout, r.stderr)
	}
	run(t, jailPath, "run", "--config", dir, "--role", "mine", "--", "true").want(t, 125, "not loaded") // --dry-run did nothing
	jail("reload").want(t, 0)
	if r := jail("reload", "--dry-run"); r.stdout != "" || r.status != 0 {
		t.Errorf("nothing changed, but: %q %s", r.stdout, r.stderr)
	}
	run(t, jailPath, "run", "--config", dir, "--role", "mine", "--", "cat", "/etc/hostname").want(t, 1, "Permission denied")
	write("mine.toml", "[roles.mine]\nid = 300\nallow_file_access = true\nallow_network = true\nusers = [\"*\"]\n[[roles.mine.files]]\npath = \"/etc/passwd\"\ndeny = true\n")
	r := jail("reload", "--dry-run")
	for _, want := range []string{"~  300  mine", "allow_network: false -> true", `- { path = "/etc/hostname", deny = true }`, `+ { path = "/etc/passwd", deny = true }`} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("lacks %q: %q %s", want, r.stdout, r.stderr)
		}
	}
	write("mine.toml", "[roles.mine]\nid = 300\nallow_file_access = true\nusers = [\"nobody\"]\n[[roles.mine.files]]\npath = \"/etc/hostname\"\ndeny = true\n")
	jail("reload").want(t, 0)
	if r := jail("reload", "--dry-run"); r.stdout != "" || r.status != 0 {
		t.Errorf("nothing changed, but: %q %s", r.stdout, r.stderr)
	}
	write("mine.toml", "[roles.mine]\nid = 300\nallow_file_access = true\nusers = [\"root\"]\n[[roles.mine.files]]\npath = \"/etc/hostname\"\ndeny = true\n")
	if r := jail("reload", "--dry-run"); !strings.Contains(r.stdout, "users or groups") || strings.Contains(r.stdout, "rules") {
		t.Errorf("other users: %q %s", r.stdout, r.stderr)
	}
	write("mine.toml", "[roles.other]\nid = 300\n")
	jail("reload", "--dry-run").want(t, 1, "id 300 is loaded as role mine")
	jail("reload").want(t, 1, "id 300 is loaded as role mine")
	write("mine.toml", "# nothing\n")
	if r := jail("reload", "--dry-run"); !strings.Contains(r.stdout, "-  300  mine") {
		t.Errorf("vanished role: %q %s", r.stdout, r.stderr)
	}
	jail("reload").want(t, 0)
	if r := jail("roles"); !strings.Contains(r.stdout, "orphaned") || r.status != 0 {
		t.Errorf("roles: %q", r.stdout)
	}
	if after := orphans(); len(after) != len(before)+1 || !slices.Contains(after, any("mine")) || slices.Contains(before, any("mine")) {
		t.Errorf("status: orphans %v, then %v", before, after)
	}
}
