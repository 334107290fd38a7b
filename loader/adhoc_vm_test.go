//go:build vm

package loader

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// Children of these tests are the test binary itself, told what to do by childEnv; killEnv
// names a step, and how often to pass it, at which the child ends itself by SIGKILL; or, with
// ":readonly" after them, makes the bpf file system read-only.
const (
	childEnv = "JAIL_TEST_CHILD"
	killEnv  = "JAIL_TEST_KILL"
	limitEnv = "JAIL_TEST_NOFILE"
)

func init() {
	if mode := os.Getenv(childEnv); mode != "" {
		if err := adHocChild(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func adHocChild(mode string) error {
	if at, times, ok := strings.Cut(os.Getenv(killEnv), ":"); ok {
		times, action, _ := strings.Cut(times, ":")
		left := 0
		_, _ = fmt.Sscan(times, &left)
		step = func(name string) {
			if name == at {
				if left--; left == 0 && action == "readonly" {
					if err := remount(unix.MS_RDONLY); err != nil {
						panic(err)
					}
				} else if left == 0 {
					_ = unix.Kill(os.Getpid(), unix.SIGKILL)
					select {}
				}
			}
		}
	}
	switch mode {
	case "opener":
		return opener(0)
	case "patient opener":
		return opener(time.Millisecond)
	case "asked":
		return asked()
	case "armer":
		return armer()
	case "nice":
		return nice()
	case "nice in jail":
		return enter(150, "nice", "/proc/self/exe")
	case "upgrade", "status":
		return upgradeChild(mode)
	case "load":
		if limit := os.Getenv(limitEnv); limit != "" {
			var n uint64
			_, _ = fmt.Sscan(limit, &n)
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
				return err
			}
		}
		k, err := Load(context.Background(), Options{Roles: profiles.Builtins().Roles()})
		if err == nil {
			err = k.Close()
		}
		return err
	}
	k, err := Open()
	if err != nil {
		return err
	}
	switch mode {
	case "make":
		a, err := k.MakeAdHoc([]*profiles.Role{adHocRole(20)}, nil)
		if err != nil {
			return err
		}
		return a.Close()
	case "hold": // until the end of standard input, then ends without closing
		a, err := k.MakeAdHoc([]*profiles.Role{adHocRole(20)}, nil)
		if err != nil {
			return err
		}
		fmt.Println(a.IDs[0])
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "run":
		a, err := k.MakeAdHoc([]*profiles.Role{adHocRole(20)}, nil)
		if err != nil {
			return err
		}
		return enter(a.IDs[0], "", "/attacks", "E00_sleep")
	case "reload A", "reload B":
		return k.InstallRoles(reloadRoles(mode))
	case "ask":
		return enterAll([]uint32{170}, "asked", "/proc/self/exe")
	case "ask both":
		return enterAll([]uint32{170, 171}, "asked", "/proc/self/exe")
	case "enter":
		return enter(150, "opener", "/proc/self/exe")
	case "enter patiently": // it has to be there, and the processors are for others
		return enter(150, "patient opener", "/proc/self/exe")
	}
	return nil
}

func enter(role uint32, mode string, argv ...string) error {
	return enterAll([]uint32{role}, mode, argv...)
}

func enterAll(roles []uint32, mode string, argv ...string) error {
	runtime.LockOSThread()
	if err := Arm(roles, 0); err != nil {
		return err
	}
	return syscall.Exec(argv[0], argv, []string{childEnv + "=" + mode})
}

// opener opens what its role denies and what it allows, in turns, until its input ends, and
// reports how often the first was allowed and the second refused. With a pause after ten.
func opener(pause time.Duration) error {
	done := make(chan bool)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	opens, allowed, refused := 0, 0, 0
	for {
		select {
		case <-done:
			fmt.Println(opens, allowed, refused)
			return nil
		default:
		}
		for range 100 {
			if fd, err := unix.Open("/etc/shadow", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				_ = unix.Close(fd)
				allowed++
			} else if !errors.Is(err, unix.EACCES) {
				return err
			}
			if fd, err := unix.Open("/etc/passwd", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				_ = unix.Close(fd)
			} else if refused++; !errors.Is(err, unix.EACCES) {
				return err
			}
			if opens += 2; pause > 0 && opens%10 == 0 {
				time.Sleep(pause)
			}
		}
	}
}

// armer asks, as a user, for a role that is root's and for one that is its own, in turns, until
// its input ends, and reports how often it got the first and not the second.
func armer() error {
	runtime.LockOSThread()
	err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(65534, 65534, 65534), syscall.Setresuid(65534, 65534, 65534),
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	if err != nil {
		return err
	}
	done := make(chan bool)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	asked, allowed, refused := 0, 0, 0
	for {
		select {
		case <-done:
			fmt.Println(asked, allowed, refused)
			return Disarm()
		default:
		}
		for range 100 {
			if err := Arm([]uint32{150}, 0); err == nil {
				allowed++
			} else if !errors.Is(err, Refusal(bpf.JailRefusalREFUSED_USER)) {
				return err
			}
			if err := Arm([]uint32{160}, 0); err != nil {
				refused++
			}
			asked += 2
		}
	}
}

func adHocRole(rules int) *profiles.Role {
	a := &profiles.AdHoc{}
	for i := range rules {
		a.Files = append(a.Files, profiles.FileRule{Path: fmt.Sprintf("/srv/data-%d", i), Access: profiles.Read, Place: profiles.Place{File: "test"}})
	}
	a.Files = append(a.Files, profiles.FileRule{Path: "/", Access: profiles.Read | profiles.Exec | profiles.Map})
	env, err := Environment()
	if err != nil {
		panic(err)
	}
	r, err := a.Alone(env)
	if err != nil {
		panic(err)
	}
	return r
}

// reloadRoles are two versions of a configuration that agree about /etc/shadow and
// /etc/passwd and differ in much else.
func reloadRoles(version string) []*profiles.Role {
	text := `
[roles.steady]
id = 150
allow_file_access = true
allow_exec = true
users = ["root"]
[[roles.steady.files]]
path = "/etc/shadow"
deny = true
[roles.theirs]
id = 160
users = ["nobody"]
`
	if version == "reload B" {
		text += "[[roles.steady.network]]\nport = 80\nallow = true\n"
		for i := range 50 {
			text += fmt.Sprintf("[[roles.steady.files]]\npath = \"/srv/%d/**/x*\"\ndeny = true\n", i)
		}
	}
	p, err := profiles.Parse(version, []byte(text))
	if err != nil {
		panic(err)
	}
	set, err := profiles.NewSet(p)
	if err != nil {
		panic(err)
	}
	return set.Roles()
}

func startChild(t *testing.T, mode string, env ...string) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+mode)...)
	stdin, stdout, _ := startPiped(t, cmd)
	return cmd, stdin, bufio.NewReader(stdout)
}

// startPiped starts a command that is talked to, until the test's end or a call of end, which
// has no effect on what has ended.
func startPiped(t *testing.T, cmd *exec.Cmd) (stdin io.WriteCloser, stdout io.Reader, end func()) {
	t.Helper()
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(end)
	return stdin, stdout, end
}

// holdings counts what the kernel part holds for policies and roles.
type holdings struct{ roles, listed, policies, starts, entrants int }

func (k *Kernel) holdings(t *testing.T) (h holdings) {
	t.Helper()
	s, err := k.share()
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.roles {
		if s.roles[i].Id != 0 {
			h.roles++
		}
	}
	for i := range s.policies {
		if s.policies[i].Id != 0 {
			h.policies++
		}
	}
	var id, slot uint32
	for it := k.maps["role_slots"].Iterate(); it.Next(&id, &slot); {
		h.listed++
	}
	var key [16]byte
	var state uint32
	for it := k.maps["starts"].Iterate(); it.Next(&key, &state); {
		h.starts++
	}
	var entrant bpf.JailEntrant
	for it := k.maps["entrants"].Iterate(); it.Next(&entrant, &state); {
		h.entrants++
	}
	return h
}

func collected(t *testing.T, k *Kernel) holdings {
	t.Helper()
	if err := k.Collect(); err != nil {
		t.Fatal(err)
	}
	return k.holdings(t)
}

func TestAdHocRoleIsKeptWhileItsLauncherLivesAndGoesWithIt(t *testing.T) {
	k := testKernel(t)
	before := collected(t, k)
	cmd, stdin, stdout := startChild(t, "hold")
	id := 0
	if line, err := stdout.ReadString('\n'); err != nil {
		t.Fatal(err)
	} else if _, err := fmt.Sscan(line, &id); err != nil || !isAdHoc(uint32(id)) {
		t.Fatalf("id %q: %v", line, err)
	}
	if held := collected(t, k); held.roles != before.roles+1 || held.policies != before.policies+1 {
		t.Errorf("while the launcher lives: %+v, before %+v", held, before)
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if after := collected(t, k); after != before {
		t.Errorf("after its end: %+v, before %+v", after, before)
	}
}

func TestAdHocRoleLivesAsLongAsItsJail(t *testing.T) {
	k := testKernel(t)
	before := collected(t, k)
	const jails = 20
	var cmds []*exec.Cmd
	for range jails {
		cmd, _, _ := startChild(t, "run")
		cmds = append(cmds, cmd)
	}
	waitSubjects(t, k, jails)
	if held := collected(t, k); held.roles != before.roles+jails {
		t.Errorf("%+v, want %d roles more than %+v", held, jails, before)
	}
	list, err := k.Subjects()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint32]bool)
	for _, s := range list {
		if role := s.Roles[0]; !isAdHoc(role.Role) || role.Name != profiles.AdHocName || seen[role.Role] {
			t.Errorf("subject %+v", s)
		}
		seen[s.Roles[0].Role] = true
	}
	for _, cmd := range cmds {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	waitSubjects(t, k, 0)
	waitHoldings(t, k, before)
}

func waitHoldings(t *testing.T, k *Kernel, want holdings) {
	t.Helper()
	var got holdings
	for range 100 {
		if got = collected(t, k); got == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%+v are left, want %+v", got, want)
}

func TestKillAtAnyStepOfAStartLeavesNothing(t *testing.T) {
	k := testKernel(t)
	before := collected(t, k)
	for _, at := range []string{
		"leased", "slots", "tables", "record", "policy", "starts", "reserved", "pointed",
		"unlisted", "unlinked", "freed starts", "freed policy",
	} {
		cmd, _, _ := startChild(t, "make", killEnv+"="+at+":1")
		err := cmd.Wait()
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != unix.SIGKILL {
			t.Errorf("%s: was not reached: %v", at, err)
		}
		if after := collected(t, k); after != before {
			t.Errorf("killed at %q: %+v, before %+v", at, after, before)
		}
	}
}

func TestKillAtAnyStepOfAReloadLeavesEveryRoleWhole(t *testing.T) {
	k := testKernel(t)
	if err := k.InstallRoles(reloadRoles("reload A")); err != nil {
		t.Fatal(err)
	}
	before := collected(t, k)
	cmd, stdin, stdout := startChild(t, "enter")
	waitSubjects(t, k, 1)
	for i, at := range []string{
		"slots:1", "tables:1", "policy:1", "starts:1", "policy:4", "starts:8", "policies:1", "reserved:1",
		"flip:1", "flip:3", "flip:8", "orphans:1", "quiet:1", "freed starts:1", "freed policy:1", "freed policy:8",
	} {
		c, _, _ := startChild(t, []string{"reload A", "reload B"}[i%2], killEnv+"="+at)
		err := c.Wait()
		if ws, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != unix.SIGKILL {
			t.Errorf("%s: was not reached: %v", at, err)
		}
		after := collected(t, k)
		if after.roles != before.roles || after.listed != before.listed || after.policies != before.policies || after.entrants != before.entrants {
			t.Errorf("killed at %q: %+v, before %+v", at, after, before)
		}
		s, err := k.share()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.roles {
			if p := s.policies[r.PolicySlot]; r.Id != 0 && (p.Id == 0 || p.Role != r.Id) {
				t.Errorf("killed at %q: role %d has policy %+v", at, r.Id, p)
			}
		}
	}
	finish(t, cmd, stdin, stdout)
}

// finish ends an opener and fails for each verdict that it saw go wrong.
func finish(t *testing.T, cmd *exec.Cmd, stdin io.Closer, stdout *bufio.Reader) {
	t.Helper()
	_ = stdin.Close()
	line, err := stdout.ReadString('\n')
	opens, allowed, refused := 0, -1, -1
	_, _ = fmt.Sscan(line, &opens, &allowed, &refused)
	if werr := cmd.Wait(); err != nil || werr != nil || allowed != 0 || refused != 0 || opens == 0 {
		t.Errorf("questions, wrongly allowed, wrongly refused: %q (%v, %v)", line, err, werr)
	}
	t.Logf("%d questions, %d wrongly allowed, %d wrongly refused", opens, allowed, refused)
}

func TestReloadUnderLoadGivesNoWrongVerdict(t *testing.T) {
	k := testKernel(t)
	if err := k.InstallRoles(reloadRoles("reload A")); err != nil {
		t.Fatal(err)
	}
	type opener struct {
		*exec.Cmd
		stdin  io.WriteCloser
		stdout *bufio.Reader
	}
	var list []opener
	for range 2 {
		cmd, stdin, stdout := startChild(t, "enter")
		list = append(list, opener{cmd, stdin, stdout})
	}
	cmd, stdin, stdout := startChild(t, "armer")
	list = append(list, opener{cmd, stdin, stdout})
	waitSubjects(t, k, 2)
	before := k.holdings(t)
	for i := range 60 {
		if err := k.InstallRoles(reloadRoles([]string{"reload B", "reload A"}[i%2])); err != nil {
			t.Fatal(err)
		}
	}
	if after := k.holdings(t); after != before {
		t.Errorf("after 60 reloads %+v, before %+v", after, before)
	}
	for _, o := range list {
		finish(t, o.Cmd, o.stdin, o.stdout)
	}
}

// TestRenamesElsewhereCauseNoWrongVerdict: while a rename is under way no path can be told;
// the opens wait for it.
func TestRenamesElsewhereCauseNoWrongVerdict(t *testing.T) {
	k := testKernel(t)
	if err := k.InstallRoles(reloadRoles("reload A")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, stdin, stdout := startChild(t, "enter")
	waitSubjects(t, k, 1)
	renames := 0
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); renames += 2 {
		if err := errors.Join(unix.Rename(dir+"/a", dir+"/b"), unix.Rename(dir+"/b", dir+"/a")); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d renames", renames)
	finish(t, cmd, stdin, stdout)
}

func TestAnotherRoleUnderAnIdOrNameThatIsLoadedIsRefused(t *testing.T) {
	k := testKernel(t)
	if err := k.InstallRoles(reloadRoles("reload A")); err != nil {
		t.Fatal(err)
	}
	before := k.holdings(t)
	for _, text := range []string{"[roles.other]\nid = 150\n", "[roles.steady]\nid = 151\n"} {
		if err := k.InstallRoles(roleSet(t, "other.toml", text).Roles()); !errors.Is(err, ErrIdentity) {
			t.Errorf("%q: %v", text, err)
		}
		if after := k.holdings(t); after != before {
			t.Errorf("%q: %+v, before %+v", text, after, before)
		}
	}
}

func TestRoleThatVanishedStaysAsAnOrphan(t *testing.T) {
	k := testKernel(t)
	orphaned := func() bool {
		list, err := k.Roles()
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(list, func(r LoadedRole) bool { return r.ID == 150 })
		return at >= 0 && list[at].Orphaned
	}
	if err := k.InstallRoles(reloadRoles("reload A")); err != nil {
		t.Fatal(err)
	}
	if orphaned() {
		t.Error("orphaned while it is configured")
	}
	cmd, stdin, stdout := startChild(t, "enter")
	waitSubjects(t, k, 1)
	if err := k.InstallRoles(profiles.Builtins().Roles()); err != nil {
		t.Fatal(err)
	}
	if !orphaned() {
		t.Error("not orphaned after a reload without it")
	}
	time.Sleep(100 * time.Millisecond) // it goes on opening under the orphan
	finish(t, cmd, stdin, stdout)
	if err := k.InstallRoles(reloadRoles("reload B")); err != nil {
		t.Fatal(err)
	}
	if orphaned() {
		t.Error("orphaned after it came back")
	}
}

// TestCountersSurviveTheLoadersWords: the loader's stores must not set back what programs
// count meanwhile.
func TestCountersSurviveTheLoadersWords(t *testing.T) {
	k := testKernel(t)
	c, err := k.control()
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.share()
	if err != nil {
		t.Fatal(err)
	}
	s.control.Policies += 1000
	if err := k.setControl(c); err != nil {
		t.Fatal(err)
	}
	now, err := k.control()
	if err != nil || now.Policies != c.Policies+1000 {
		t.Errorf("%d policies counted, want %d: %v", now.Policies, c.Policies+1000, err)
	}
}

// TestCostOfAnAdHocRole prints what a role of 20 rules adds to a start; where it runs under
// emulation the figures are for comparison only.
func TestCostOfAnAdHocRole(t *testing.T) {
	k := testKernel(t)
	role := adHocRole(20)
	var times []time.Duration
	for range 40 {
		begin := time.Now()
		a, err := k.MakeAdHoc([]*profiles.Role{role}, nil)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Since(begin))
		defer a.Close()
	}
	list, _ := compileAll(processOne, []*profiles.Role{role}, nil)
	begin := time.Now()
	_, _ = compileAll(processOne, []*profiles.Role{role}, nil)
	compile := time.Since(begin)
	tables, _ := withStarts(list[0].policy)
	first := times[0]
	slices.Sort(times)
	t.Logf("MakeAdHoc: first %v, median %v, worst %v; of it compiling %v; %d bytes of tables, %d starts",
		first, times[len(times)/2], times[len(times)-1], compile, len(tables), len(list[0].policy.Starts))
}
