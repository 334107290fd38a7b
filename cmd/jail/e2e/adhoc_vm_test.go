//go:build vm

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	runAsUser(t, jailPath, "run", "--connect", port, "--", "curl", url).want(t, 125, "need root")
	// Inside a jail root is nobody.
	run(t, jailPath, "run", "--role", "permissive", "--", jailPath, "run", "--connect", port, "--", "true").want(t, 125, "need root")
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
