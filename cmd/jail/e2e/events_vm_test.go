//go:build vm

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// denyConnect is denied one connection under a role.
func denyConnect(t *testing.T, role, pod string, args ...string) {
	t.Helper()
	run(t, jailPath, append(append([]string{"run", "--role", role, "--pod", pod}, args...),
		"--", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/5432")...)
}

func TestLogPrintsWhatHappenedOnce(t *testing.T) {
	load(t)
	run(t, jailPath, "log").want(t, 0)
	denyConnect(t, "isolated", "801")
	r := run(t, jailPath, "log", "--json", "--denied", "--role", "isolated")
	r.want(t, 0)
	var e struct {
		Version                                int
		Kind, Op, Verdict, Errno, Object, Role string
		Pod                                    uint64
		Rule                                   struct{ Place, Text string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &e); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	if e.Version != 1 || e.Kind != "denial" || e.Op != "connect" || e.Verdict != "deny" || e.Errno != "EACCES" ||
		e.Object != "tcp 127.0.0.1:5432" || e.Role != "isolated" || e.Pod != 801 || e.Rule.Text != "allow_network = false" {
		t.Errorf("%+v", e)
	}
	if r := run(t, jailPath, "log", "--denied"); r.stdout != "" {
		t.Errorf("printed twice: %s", r.stdout)
	}
	denyConnect(t, "isolated", "801")
	if r := run(t, jailPath, "log", "--denied"); !strings.Contains(r.stdout, "deny connect tcp 127.0.0.1:5432 EACCES bash[") ||
		!strings.Contains(r.stdout, "role isolated pod 801 | builtin/isolated.toml:") {
		t.Errorf("printed %q", r.stdout)
	}
	runAsUser(t, jailPath, "log").want(t, 1, "root")
}

func TestSecondFollowerIsToldOfTheFirst(t *testing.T) {
	load(t)
	cmd := exec.Command(jailPath, "log", "-f")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the reader", func() bool {
		r := run(t, jailPath, "log")
		return r.status == 1 && strings.Contains(r.stderr, strconv.Itoa(cmd.Process.Pid))
	})
	run(t, jailPath, "log", "-f").want(t, 1, "another process reads the events")
	denyConnect(t, "isolated", "802")
	var seen strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "pod 802 | builtin/isolated.toml") {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("%v: %s", err, seen.String())
		}
		seen.Write(buf[:n])
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("log -f ended with %v", err)
	}
}

func TestWhyNamesTheRuleAndTheSmallestChange(t *testing.T) {
	load(t)
	denyConnect(t, "isolated", "803")
	run(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/passwd").want(t, 1)
	r := run(t, jailPath, "why", "--last", "40")
	r.want(t, 0)
	for _, want := range []string{
		"open (r) /etc/passwd: EACCES", "allow_file_access = false", "[[roles.restricted.files]]",
		`path = "/etc/passwd"`, `access = "r"`, "jail run --role restricted -r /etc/passwd",
		"connect tcp 127.0.0.1:5432: EACCES", "[[roles.isolated.network]]", `address = "127.0.0.1"`,
		"--connect 127.0.0.1:5432",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("lacks %q:\n%s", want, r.stdout)
		}
	}
	var list []struct {
		PID    int
		Change struct{ TOML []string }
	}
	r = run(t, jailPath, "why", "--last", "1", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil || len(list) != 1 || len(list[0].Change.TOML) == 0 {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	if r := run(t, jailPath, "why", strconv.Itoa(list[0].PID)); !strings.Contains(r.stdout, "/etc/passwd") {
		t.Errorf("why PID: %s", r.stdout)
	}
	if r := run(t, jailPath, "why", "999999"); !strings.Contains(r.stdout, "no denial") {
		t.Errorf("why of nobody: %s", r.stdout)
	}
	run(t, jailPath, "why", "--last", "0").want(t, 2)
}

func TestExplainWarnsWhereTheKernelHoldsAnotherText(t *testing.T) {
	load(t)
	file := "/etc/jail/roles.d/explain.toml"
	write := func(text string) {
		if err := os.MkdirAll("/etc/jail/roles.d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("[roles.explained]\nid = 810\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Remove(file)
	write("allow_network = false\n")
	run(t, jailPath, "reload").want(t, 0)
	r := run(t, jailPath, "explain", "explained", "connect", "tcp", "10.0.0.5:5432")
	if r.want(t, 0); !strings.HasPrefix(r.stdout, "deny ") || !strings.Contains(r.stdout, file+":3: allow_network = false") || r.stderr != "" {
		t.Errorf("%s%s", r.stdout, r.stderr)
	}
	write("allow_network = true\n")
	r = run(t, jailPath, "explain", "explained", "connect", "tcp", "10.0.0.5:5432")
	if r.want(t, 0, "the kernel holds another text of role explained"); !strings.HasPrefix(r.stdout, "allow ") {
		t.Errorf("%s", r.stdout)
	}
}

func TestReportSumsUpAndChangesNothingElse(t *testing.T) {
	load(t)
	script := "for i in 1 2 3; do (exec 3<>/dev/tcp/127.0.0.1/5432); done 2>/dev/null; exit 7"
	r := run(t, jailPath, "run", "--report", "--role", "isolated", "--", "bash", "-c", script)
	r.want(t, 7, "jail: report: 3 denials", "deny connect tcp 127.0.0.1:5432", "allow_network = false")
	run(t, jailPath, "run", "--report", "--role", "isolated", "--", "true").want(t, 0, "nothing was denied")
	run(t, jailPath, "run", "--report", "--role", "isolated", "--", "no-such-command").want(t, 127)
	run(t, jailPath, "run", "--report", "--role", "nosuch", "--", "true").want(t, 125)
	runAsUser(t, jailPath, "run", "--report", "--role", "isolated", "--", "true").want(t, 125, "root")
	for _, s := range []syscall.Signal{unix.SIGTERM, unix.SIGKILL, unix.SIGSEGV, unix.SIGUSR1} {
		r := run(t, jailPath, "run", "--report", "--role", "worker", "--", "sh", "-c", "kill -"+strconv.Itoa(int(s))+" $$")
		if r.signal != s {
			t.Errorf("ended by %v (%d), want the command's own %v: %s", r.signal, r.status, s, r.stderr)
		}
		if strings.Contains(r.stderr, "goroutine") {
			t.Errorf("a trace was printed: %s", r.stderr)
		}
	}
}

func TestReportForwardsSignals(t *testing.T) {
	load(t)
	for _, name := range []string{"INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH"} {
		file := "/tmp/forwarded-" + name
		cmd := exec.Command(jailPath, "run", "--report", "--role", "worker", "--", "bash", "-c",
			"trap 'exit 9' "+name+"; touch "+file+"; while :; do sleep 0.05; done")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the trap", func() bool { _, err := os.Stat(file); return err == nil })
		if err := cmd.Process.Signal(unix.SignalNum("SIG" + name)); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 9 {
			t.Errorf("%s: status %d, want the trap's 9", name, got)
		}
		_ = os.Remove(file)
	}
}

func TestReportStopsAndContinuesWithTheCommand(t *testing.T) {
	load(t)
	cmd := exec.Command(jailPath, "run", "--report", "--role", "worker", "--", "sh", "-c", "kill -STOP $$; exit 5")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		data, _ := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/stat")
		_, rest, _ := strings.Cut(string(data), ") ")
		return rest[:min(1, len(rest))]
	}
	waitFor(t, "the parent's stop", func() bool { return state() == "T" })
	if err := cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 5 {
		t.Errorf("status %d, want 5", got)
	}
}

func TestPermissiveRunAllowsAndReports(t *testing.T) {
	load(t)
	r := run(t, jailPath, "run", "--permissive", "--report", "--role", "restricted", "--", "cat", "/etc/hostname")
	r.want(t, 0, "would deny open /etc/hostname")
	run(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/hostname").want(t, 1)
	runAsUser(t, jailPath, "run", "--permissive", "--role", "restricted", "--", "cat", "/etc/hostname").want(t, 0)
	// A jail around it still holds.
	run(t, jailPath, "run", "--role", "worker", "--role", "isolated", "--", jailPath, "run", "--permissive",
		"--role", "permissive", "--", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/443").want(t, 126)
}

func TestPrometheusFileIsWrittenWhole(t *testing.T) {
	load(t)
	denyConnect(t, "isolated", "804")
	file := t.TempDir() + "/jail.prom"
	run(t, jailPath, "log", "--prometheus", file).want(t, 0)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\njail_enforcing 1\n", "\n# TYPE jail_denials_total counter\n", "\njail_events_lost_total "} {
		if !strings.Contains(string(data), want) {
			t.Errorf("lacks %q: %s", want, data)
		}
	}
	run(t, jailPath, "log", "--prometheus", "/no/such/dir/file").want(t, 1)
}

// TestJournald runs in a VM with systemd as process 1.
func TestJournaldFindsEventsByRole(t *testing.T) {
	load(t)
	run(t, "systemctl", "start", "jail-load", "jail-journal").want(t, 0)
	denyConnect(t, "isolated", "805")
	denyConnect(t, "webserver", "806")
	var r result
	waitFor(t, "the entry", func() bool {
		r = run(t, "journalctl", "JAIL_ROLE=webserver", "JAIL_KIND=denial", "-o", "json")
		return strings.Count(r.stdout, "\n") == 1
	})
	var entry map[string]string
	if err := json.Unmarshal([]byte(r.stdout), &entry); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	for name, want := range map[string]string{
		"JAIL_OP": "connect", "JAIL_OBJECT": "tcp 127.0.0.1:5432", "JAIL_POD": "806", "JAIL_ERRNO": "EACCES",
		"SYSLOG_IDENTIFIER": "jail", "MESSAGE_ID": "6f2b9f1c54d84b0d9a7c3e0b1f5a7d01",
		"JAIL_RULE_TEXT": "allow_network = false", "_SYSTEMD_UNIT": "jail-journal.service",
	} {
		if entry[name] != want {
			t.Errorf("%s is %q, want %q", name, entry[name], want)
		}
	}
	run(t, "journalctl", "--update-catalog").want(t, 0)
	r = run(t, "journalctl", "-x", "JAIL_ROLE=webserver", "JAIL_KIND=denial")
	if !strings.Contains(r.stdout, "Role webserver refused connect tcp 127.0.0.1:5432") {
		t.Errorf("the catalogue does not explain: %s", r.stdout)
	}
	run(t, jailPath, "log").want(t, 1, "another process reads the events")
	run(t, "systemctl", "restart", "systemd-journald").want(t, 0)
	denyConnect(t, "webserver", "807")
	waitFor(t, "an entry after the journal's restart", func() bool {
		return strings.Contains(run(t, "journalctl", "JAIL_POD=807", "-o", "cat").stdout, "deny connect")
	})
	run(t, "systemctl", "stop", "jail-journal").want(t, 0)
	denyConnect(t, "webserver", "808")
	// syslog: journald listens there, too
	run(t, jailPath, "log", "--syslog", "--denied").want(t, 0)
	waitFor(t, "the syslog line", func() bool {
		return strings.Contains(run(t, "journalctl", "-t", "jail", "_TRANSPORT=syslog", "-o", "cat").stdout, "pod 808")
	})
}
