//go:build vm

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// What may come after a seal, and what may not: parts of TestSeal.

// lateRoles is a role that is loaded before the seal.
const lateRoles = `
[roles.early]
id = 500
allow_network = true
allow_exec = true
allow_memfd_exec = true
allow_file_access = true
capabilities = ["sys_time", "syslog"]
[[roles.early.files]]
path = "/srv/late/closed/**"
deny = true
`

// newRole comes after it.
const newRole = `
[roles.late]
id = 501
allow_exec = true
allow_file_access = true
[[roles.late.files]]
path = "/srv/late/secret"
deny = true
`

// writeRoles writes the roles that are not built in.
func writeRoles(t *testing.T, text string) {
	t.Helper()
	if err := os.MkdirAll("/etc/jail/roles.d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/etc/jail/roles.d/late.toml", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lateFiles makes what the roles' rules are about.
func lateFiles(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll("/srv/late/closed", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"secret", "open", "closed/file"} {
		if err := os.WriteFile("/srv/late/"+name, []byte("x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// rooms asks status for the room for new roles.
func rooms(t *testing.T) (free, all int) {
	t.Helper()
	var s struct{ Rooms struct{ Free, All int } }
	if err := json.Unmarshal([]byte(run(t, jailPath, "status", "--json").stdout), &s); err != nil {
		t.Fatal(err)
	}
	return s.Rooms.Free, s.Rooms.All
}

func letsRolesCome(t *testing.T) {
	lateFiles(t)
	free, all := rooms(t)
	if free == 0 || free > all {
		t.Fatalf("status: %d of %d rooms free", free, all)
	}
	writeRoles(t, lateRoles+newRole)
	if r := run(t, jailPath, "reload", "--dry-run"); r.status != 0 || !strings.Contains(r.stdout, "late") {
		t.Errorf("reload --dry-run: %+v", r)
	}
	run(t, jailPath, "run", "--role", "late", "--", "true").want(t, 125)
	run(t, jailPath, "reload").want(t, 0)
	run(t, jailPath, "run", "--role", "late", "--", "cat", "/srv/late/secret").want(t, 1, "Permission denied")
	run(t, jailPath, "run", "--role", "late", "--", "cat", "/srv/late/open").want(t, 0)
	run(t, "cat", "/srv/late/secret").want(t, 0)
	if r := run(t, jailPath, "why", "--last", "3"); r.status != 0 || !strings.Contains(r.stdout, "late.toml") {
		t.Errorf("why: %+v", r)
	}
	if now, _ := rooms(t); now != free-1 {
		t.Errorf("%d rooms free, and %d after a new role", free, now)
	}
	run(t, jailPath, "reload").want(t, 0) // and nothing is new
	if now, _ := rooms(t); now != free-1 {
		t.Errorf("%d rooms free, and %d after a new role", free, now)
	}
}

func letsRulesCome(t *testing.T) {
	lateFiles(t)
	free, all := rooms(t)
	for range 2 {
		run(t, jailPath, "run", "-r", "/srv/late/open", "--", "cat", "/srv/late/secret").want(t, 1, "Permission denied")
		run(t, jailPath, "run", "-r", "/srv/late/open", "--", "cat", "/srv/late/open").want(t, 0)
		run(t, jailPath, "run", "-r", "/srv/late", "-w", "-/tmp/late-out", "--", "sh", "-c", "echo x >/tmp/late-out; cat /srv/late/secret").want(t, 0)
		run(t, jailPath, "run", "--role", "early", "--deny", "/srv/late/open", "--", "cat", "/srv/late/open").want(t, 1, "Permission denied")
		run(t, jailPath, "run", "--role", "early", "--deny", "/srv/late/open", "--", "cat", "/srv/late/secret").want(t, 0)
	}
	// Each has a room of its own while it runs, and gives it back.
	type jail struct {
		cmd *exec.Cmd
		end func()
	}
	var jails []jail
	for i := range 6 {
		cmd := exec.Command(jailPath, "run", "-r", "/srv/late/open", "--", "sh", "-c", "echo in; read x; cat /srv/late/open && ! cat /srv/late/secret")
		stdin, answers := startPiped(t, cmd)
		if line, err := answers.ReadString('\n'); err != nil || line != "in\n" {
			t.Fatalf("jail %d: %q %v", i, line, err)
		}
		jails = append(jails, jail{cmd, func() { _, _ = stdin.Write([]byte("\n")); _ = stdin.Close() }})
	}
	if now, _ := rooms(t); now != free-len(jails) {
		t.Errorf("%d of %d rooms free, and %d with %d jails", free, all, now, len(jails))
	}
	for i, j := range jails {
		j.end()
		if err := j.cmd.Wait(); err != nil {
			t.Errorf("jail %d: %v", i, err)
		}
	}
	waitFor(t, "the rooms of ended jails", func() bool { now, _ := rooms(t); return now == free })
	for range all + 5 { // more than there is room for, one after the other
		run(t, jailPath, "run", "-r", "/srv/late/open", "--", "true").want(t, 0)
	}
}

// letsUsersRulesCome: users' own, too, which the socket's server asks for; not all the room.
func letsUsersRulesCome(t *testing.T) {
	lateFiles(t)
	serveSocket(t)
	free, _ := rooms(t)
	runAsUser(t, jailPath, "run", "-r", "/srv/late/open", "--", "cat", "/srv/late/secret").want(t, 1, "Permission denied")
	runAsUser(t, jailPath, "run", "-r", "/srv/late/open", "--", "cat", "/srv/late/open").want(t, 0)
	runAsUser(t, "cat", "/srv/late/secret").want(t, 0)
	script := ""
	for range 8 {
		script += jailPath + " run -r /srv/late/open -- sleep 1000 & "
	}
	cmd := exec.Command("sh", "-c", script+"wait")
	cmd.Dir = "/tmp"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}, Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "eight jails of a user", func() bool { now, _ := rooms(t); return now == free-8 })
	runAsUser(t, jailPath, "run", "-r", "/srv/late/open", "--", "true").want(t, 125, "own already")
	run(t, jailPath, "run", "-r", "/srv/late/open", "--", "true").want(t, 0) // root has room
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
	waitFor(t, "the rooms of ended jails", func() bool { now, _ := rooms(t); return now == free })
	runAsUser(t, jailPath, "run", "-r", "/srv/late/open", "--", "true").want(t, 0)
}

// stricterRole is early with less.
var stricterRole = strings.NewReplacer("allow_network = true\n", "", "allow_memfd_exec = true\n", "", `["sys_time", "syslog"]`, `["syslog"]`).Replace(lateRoles)

func letsPoliciesGetStricter(t *testing.T) {
	lateFiles(t)
	// Connects, when it is told to, to a port where nobody listens.
	cmd := exec.Command(jailPath, "run", "--role", "early", "--", "bash", "-c",
		`while read x; do (exec 3<>/dev/tcp/127.0.0.1/9) 2>&1 | grep -o 'refused\|denied' | head -n 1; cat /srv/late/open /srv/late/closed/file 2>/dev/null; done; true`)
	stdin, answers := startPiped(t, cmd)
	ask := func(want string) {
		t.Helper()
		fmt.Fprintln(stdin)
		for _, want := range []string{want + "\n", "x\n"} {
			if line, err := answers.ReadString('\n'); err != nil || line != want {
				t.Errorf("%q %v, want %q", line, err, want)
			}
		}
	}
	ask("refused") // by the kernel's network: nobody listens
	free, _ := rooms(t)
	writeRoles(t, stricterRole+newRole)
	if r := run(t, jailPath, "reload", "--dry-run"); r.status != 0 || !strings.Contains(r.stdout, "allow_network: true -> false") {
		t.Errorf("reload --dry-run: %+v", r)
	}
	ask("refused")
	run(t, jailPath, "reload").want(t, 0)
	ask("denied")
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	run(t, jailPath, "reload", "--dry-run").want(t, 0)
	if now, _ := rooms(t); now != free {
		t.Errorf("%d rooms free before, and %d after what needs none", free, now)
	}
	run(t, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9").want(t, 1, "refused")
}

func refusesWiderPolicies(t *testing.T) {
	lateFiles(t)
	now := stricterRole + newRole
	for what, roles := range map[string]string{
		"allow_network: false -> true": strings.Replace(now, "allow_exec", "allow_network = true\nallow_exec", 1),
		"capabilities":                 strings.Replace(now, `["syslog"]`, `["syslog", "sys_time"]`, 1),
		"mode":                         strings.Replace(now, "id = 500", "id = 500\nmode = \"permissive\"", 1),
		"users or groups":              strings.Replace(now, "id = 500", "id = 500\nusers = [\"*\"]", 1),
		"families":                     strings.Replace(now, "id = 500", "id = 500\nfamilies = [\"unix\", \"inet\", \"inet6\", \"netlink\", \"packet\"]", 1),
		"/srv/late/closed/**":          strings.Replace(now, "/srv/late/closed/**", "/srv/late/closed/other/**", 1),
		"/srv/late/secret":             strings.Replace(now, "/srv/late/secret", "/srv/late/secrets", 1),
		"is no longer configured":      stricterRole,
	} {
		// With it another that could come: nothing does.
		writeRoles(t, roles+"\n[roles.more]\nid = 502\nallow_file_access = true\n")
		run(t, jailPath, "reload", "--dry-run").want(t, 1, "sealed", "role ", what)
		run(t, jailPath, "reload").want(t, 1, "sealed", "role ", what, "reboot")
		run(t, jailPath, "run", "--role", "more", "--", "true").want(t, 125)
	}
	writeRoles(t, now)
	run(t, jailPath, "reload", "--dry-run").want(t, 0)
	run(t, jailPath, "run", "--role", "early", "--", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9").want(t, 1, "denied")
	run(t, jailPath, "run", "--role", "early", "--", "cat", "/srv/late/closed/file").want(t, 1, "Permission denied")
	run(t, jailPath, "run", "--role", "early", "--", "cat", "/srv/late/open").want(t, 0)
}

func strictRefusesAll(t *testing.T) {
	writeRoles(t, stricterRole+newRole)
	run(t, jailPath, "reload").want(t, 0) // nothing would change
	for _, roles := range []string{
		stricterRole + newRole + "\n[roles.more]\nid = 502\nallow_file_access = true\n",
		strings.Replace(stricterRole, `["syslog"]`, `[]`, 1) + newRole,
	} {
		writeRoles(t, roles)
		run(t, jailPath, "reload", "--dry-run").want(t, 1, "sealed")
		run(t, jailPath, "reload").want(t, 1, "sealed")
	}
	run(t, jailPath, "run", "-r", "/tmp", "--", "true").want(t, 125, "sealed")
	run(t, jailPath, "run", "--role", "late", "--", "cat", "/srv/late/secret").want(t, 1, "Permission denied")
	run(t, jailPath, "run", "--role", "late", "--", "cat", "/srv/late/open").want(t, 0)
}
