//go:build vm

package loader

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jail/bpf"
)

// eventChild is argv[0] of the test binary when it is to be denied something.
const eventChild = "jail-event-child"

func init() {
	if os.Args[0] == eventChild {
		runtime.LockOSThread()
		if err := childMain(os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// childMain: "enter ROLE POD permissive|enforced WORD..." execs itself with the words,
// jailed; all else is what to do there. What came of it is printed as an errno.
func childMain(args []string) error {
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			panic(err)
		}
		return n
	}
	switch args[0] {
	case "enter":
		if os.Getuid() != 0 {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return err
			}
		}
		enter := Arm
		if args[3] == "permissive" {
			enter = ArmPermissive
		}
		if err := enter([]uint32{uint32(number(1))}, uint64(number(2))); err != nil {
			return err
		}
		return syscall.Exec("/proc/self/exe", append([]string{eventChild}, args[4:]...), os.Environ())
	case "connect": // COUNT PORT...: in turn
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		for i := range number(1) {
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: number(2 + i%(len(args)-2)), Addr: [4]byte{127, 0, 0, 1}})
		}
		errno, _ := errnoOf(err)
		fmt.Println(errno)
	case "wait":
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	case "open":
		fd, err := unix.Open(args[1], unix.O_RDONLY, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		errno, _ := errnoOf(err)
		fmt.Println(errno)
	case "ptrace":
		errno, _ := errnoOf(unix.PtraceAttach(number(1)))
		fmt.Println(errno)
	case "read-log":
		k, err := Open()
		if err != nil {
			return err
		}
		l, err := k.OpenLog()
		if err != nil {
			return err
		}
		_, _ = l.Next(false)
		fmt.Println("reading")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	}
	return nil
}

// child runs the test binary as a child, as root or as the ordinary user, and gives its
// pid and the errno that it printed.
func child(t *testing.T, uid uint32, args ...string) (pid int, errno unix.Errno) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{eventChild}, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if n, perr := strconv.Atoi(strings.TrimSpace(string(out))); perr == nil && err == nil {
		return cmd.Process.Pid, unix.Errno(n)
	}
	t.Logf("child %q: %v: %s", args, err, out)
	return cmd.Process.Pid, unix.Errno(4095)
}

// jailedChild enters a role first.
func jailedChild(t *testing.T, role, pod int, args ...string) (int, unix.Errno) {
	t.Helper()
	return child(t, 0, append([]string{"enter", strconv.Itoa(role), strconv.Itoa(pod), "enforced"}, args...)...)
}

// drain takes everything out of the ring buffer.
func drain(t *testing.T, k *Kernel) []Event {
	t.Helper()
	l, err := k.OpenLog()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var list []Event
	for {
		e, err := l.Next(false)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
}

// untilPodEnd reads until the pod's end was told, which is after all that its tasks had to tell.
func untilPodEnd(t *testing.T, k *Kernel, pod uint64) []Event {
	t.Helper()
	var list []Event
	for range 500 {
		list = append(list, drain(t, k)...)
		for _, e := range list {
			if e.Kind == "pod_end" && e.Pod == pod {
				return list
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("pod %d did not end; %d events", pod, len(list))
	return nil
}

func ofPod(list []Event, pod uint64, kind string) []Event {
	var found []Event
	for _, e := range list {
		if e.Pod == pod && e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

func counts(t *testing.T, k *Kernel) Counts {
	t.Helper()
	c, err := k.Counts()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const isolated = 5 // no network, all else open

func TestRepeatedDenialIsToldOnceAndCountedExactly(t *testing.T) {
	k := testKernel(t)
	drain(t, k)
	before := counts(t, k)
	pid, errno := jailedChild(t, isolated, 501, "connect", "1000", "1001")
	if errno != unix.EACCES {
		t.Fatalf("connect: %v, want EACCES", errno)
	}
	list := untilPodEnd(t, k, 501)
	denials := ofPod(list, 501, "denial")
	if len(denials) < 2 {
		t.Fatalf("%d denials told: %+v", len(denials), list)
	}
	first, last := denials[0], denials[len(denials)-1]
	if first.Repeats != 0 || last.Repeats != 999 || first.Number != last.Number {
		t.Errorf("first %+v, last %+v: want the same with 999 repeats", first, last)
	}
	if first.PID != uint32(pid) || first.Role != "isolated" || first.Object != "tcp 127.0.0.1:1001" || first.Errno != "EACCES" {
		t.Errorf("%+v", first)
	}
	if first.Rule == nil || !strings.HasPrefix(first.Rule.Place, "builtin/isolated.toml:") || first.Rule.Text != "allow_network = false" {
		t.Errorf("decided by %+v", first.Rule)
	}
	if age := time.Since(first.Time); age < 0 || age > time.Minute {
		t.Errorf("the event is %v old", age)
	}
	kept, _, err := k.Denials()
	if err != nil {
		t.Fatal(err)
	}
	if kept := ofPod(kept, 501, "denial"); len(kept) != 1 || kept[0].Repeats != 999 {
		t.Errorf("remembered: %+v", kept)
	}
	if after := counts(t, k); after.Denied-before.Denied != 1000 || after.Repeated-before.Repeated != 999 {
		t.Errorf("counted %+v, before %+v", after, before)
	}
	for _, kind := range []string{"enroll", "pod_end"} {
		if n := len(ofPod(list, 501, kind)); n != 1 {
			t.Errorf("%d events %s", n, kind)
		}
	}
}

func TestDenialsOverTheLimitAreCountedExactly(t *testing.T) {
	overTheLimit(t, testKernel(t), 502)
}

// Where two domains share a place in the limits map, the newer one's limit is its own.
func TestDomainsThatMeetInTheLimitsMapHaveTheirOwnLimits(t *testing.T) {
	k := testKernel(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{eventChild, "enter", fmt.Sprint(isolated), "608", "enforced", "wait"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for alive := false; !alive; time.Sleep(10 * time.Millisecond) {
		if alive, err = k.PodAlive(608); err != nil {
			t.Fatal(err)
		}
	}
	var tally bpf.JailTally
	var limit bpf.JailLimit
	tallies, limits := k.maps["tallies"], k.maps["limits"]
	if err := tallies.Lookup(uint32(0), &tally); err != nil {
		t.Fatal(err)
	}
	first := tally.Domains
	tally.Domains += uint64(limits.MaxEntries()) - 1
	if err := tallies.Put(uint32(0), tally); err != nil {
		t.Fatal(err)
	}
	overTheLimit(t, k, 609)
	if err := limits.Lookup(uint32(first)&(limits.MaxEntries()-1), &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Domain != first || limit.Suppressed != 0 || limit.Reported[0] != 0 {
		t.Errorf("the first domain, %d, has %+v", first, limit)
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	untilPodEnd(t, k, 608)
	if err := limits.Lookup(uint32(first)&(limits.MaxEntries()-1), &limit); err != nil || limit.Domain != 0 {
		t.Errorf("after its end: %+v, %v", limit, err)
	}
}

func overTheLimit(t *testing.T, k *Kernel, pod uint64) {
	t.Helper()
	drain(t, k)
	before := counts(t, k)
	const tries = 5000
	jailedChild(t, isolated, int(pod), "connect", fmt.Sprint(tries), "1001", "1002")
	list := untilPodEnd(t, k, pod)
	numbers := make(map[uint64]uint32) // repeats of each
	sum := uint32(0)
	for _, e := range list {
		if e.Pod != pod {
			continue
		}
		if e.Kind == "denial" {
			numbers[e.Number] = e.Repeats
		}
		sum += e.Suppressed
	}
	for _, repeats := range numbers {
		sum += 1 + repeats
	}
	after := counts(t, k)
	if sum != tries || after.Denied-before.Denied != tries {
		t.Errorf("told %d and counted %d, want %d", sum, after.Denied-before.Denied, tries)
	}
	if uint64(len(numbers))+after.Suppressed-before.Suppressed+after.Repeated-before.Repeated != tries {
		t.Errorf("%d events, %+v, before %+v", len(numbers), after, before)
	}
	if after.Suppressed == before.Suppressed {
		t.Error("the limit was never reached")
	}
}

func TestHostileLoopLeavesRoomForOtherPods(t *testing.T) {
	k := testKernel(t)
	drain(t, k)
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{eventChild, "enter", fmt.Sprint(isolated), "503", "enforced", "connect", "150000", "1001", "1002"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	before := counts(t, k)
	for range 500 { // the loop is under way
		if counts(t, k).Suppressed > before.Suppressed+1000 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, errno := jailedChild(t, isolated, 504, "connect", "1", "1003"); errno != unix.EACCES {
		t.Errorf("connect: %v", errno)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	kept, _, err := k.Denials()
	if err != nil {
		t.Fatal(err)
	}
	if len(ofPod(kept, 504, "denial")) != 1 {
		t.Error("the other pod's denial is not remembered")
	}
	list := untilPodEnd(t, k, 503)
	if n := len(ofPod(list, 504, "denial")); n != 1 {
		t.Errorf("%d events of the other pod, want 1", n)
	}
	if after := counts(t, k); after.Denied-before.Denied < 100_000 || after.Lost != before.Lost {
		t.Errorf("after %+v, before %+v", after, before)
	}
}

func TestFullBufferCountsWhatItLosesAndWhyStillKnows(t *testing.T) {
	k := testKernel(t)
	drain(t, k)
	before := counts(t, k)
	const told = 3000 // more than the buffer holds
	for range told {
		if err := k.tell(bpf.JailEventKindEVENT_RELOAD, 1); err != nil {
			t.Fatal(err)
		}
	}
	lost := counts(t, k).Lost - before.Lost
	if lost == 0 || lost >= told {
		t.Fatalf("%d of %d lost", lost, told)
	}
	if _, errno := jailedChild(t, isolated, 505, "connect", "1", "1004"); errno != unix.EACCES {
		t.Errorf("with a full buffer connect gives %v, want EACCES", errno)
	}
	kept, _, err := k.Denials()
	if err != nil || len(ofPod(kept, 505, "denial")) != 1 {
		t.Errorf("not remembered (%v)", err)
	}
	read := uint64(0)
	for _, e := range drain(t, k) {
		if e.Kind == "reload" {
			read++
		}
	}
	if read != told-lost {
		t.Errorf("%d events read, want %d", read, told-lost)
	}
	if after := counts(t, k).Lost - before.Lost; after <= lost {
		t.Errorf("the events of the pod were lost, too, and not counted: %d", after)
	}
	jailedChild(t, isolated, 506, "connect", "1", "1004")
	if len(ofPod(untilPodEnd(t, k, 506), 506, "denial")) != 1 {
		t.Error("nothing arrives after the buffer was emptied")
	}
}

func TestOneReaderAtATimeAndADeadOneIsNone(t *testing.T) {
	k := testKernel(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{eventChild, "read-log"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "reading\n" {
		t.Fatalf("%q %v", line, err)
	}
	_, err = k.OpenLog()
	if !errors.Is(err, ErrReader) || !strings.Contains(err.Error(), fmt.Sprint(cmd.Process.Pid)) {
		t.Errorf("second reader: %v, want the first one's pid", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	jailedChild(t, isolated, 507, "connect", "1", "1005")
	if len(ofPod(untilPodEnd(t, k, 507), 507, "denial")) != 1 {
		t.Error("the next reader misses the event")
	}
}

func TestNameOfNewlinesArrivesEscaped(t *testing.T) {
	k := testKernel(t)
	drain(t, k)
	name := "/tmp/" + strings.Repeat("\n", 255)
	if err := os.WriteFile(name, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(name)
	if _, errno := jailedChild(t, isolated, 508, "open", name); errno != 0 {
		t.Errorf("control: %v", errno)
	}
	if _, errno := jailedChild(t, 1, 509, "open", name); errno != unix.EACCES {
		t.Errorf("open: %v, want EACCES", errno)
	}
	for _, e := range ofPod(untilPodEnd(t, k, 509), 509, "denial") {
		if e.Path == "/tmp/"+strings.Repeat(`\n`, 255) {
			if e.PathCut || e.Access != "r" || e.Rule == nil || e.Rule.Flag != "allow_file_access" {
				t.Errorf("%+v %+v", e, e.Rule)
			}
			return
		}
	}
	t.Error("no event has the path")
}

func TestLongPathIsCutAndSaysSo(t *testing.T) {
	k := testKernel(t)
	drain(t, k)
	dir := t.TempDir()
	for range 12 {
		dir += "/" + strings.Repeat("d", 200)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, errno := jailedChild(t, 1, 510, "open", dir); errno != unix.EACCES {
		t.Errorf("open: %v, want EACCES", errno)
	}
	for _, e := range ofPod(untilPodEnd(t, k, 510), 510, "denial") {
		if e.PathCut && strings.HasPrefix(dir, e.Path) && len(e.Path) > 700 {
			return
		}
	}
	t.Error("no event has the beginning of the path")
}

// eventRoles are the roles of the tests below.
const eventRoles = `
[roles.closed]
id = 700
[roles.reporting]
id = 701
users = ["*"]
mode = "permissive"
[roles.rules]
id = 702
users = ["*"]
allow_file_access = true
allow_exec = true
allow_network = true
[[roles.rules.files]]
path = "/etc/hostname"
deny = true
[[roles.rules.network]]
port = 1007
allow = false
`

func installEventRoles(t *testing.T, k *Kernel) {
	t.Helper()
	if err := k.Reload(roleSet(t, "event.toml", eventRoles).Roles()); err != nil {
		t.Fatal(err)
	}
}

func TestReloadIsAnEvent(t *testing.T) {
	k := testKernel(t)
	drain(t, k)
	installEventRoles(t, k)
	list := drain(t, k)
	if len(list) != 1 || list[0].Kind != "reload" || list[0].PID != uint32(os.Getpid()) || list[0].Value < 10 {
		t.Errorf("%+v", list)
	}
}

func TestRuleIsNamedByItsLineAlsoAfterAReload(t *testing.T) {
	k := testKernel(t)
	installEventRoles(t, k)
	drain(t, k)
	if _, errno := jailedChild(t, 702, 511, "connect", "1", "1007"); errno != unix.EACCES {
		t.Errorf("connect: %v", errno)
	}
	if _, errno := jailedChild(t, 702, 511, "connect", "1", "1008"); errno != unix.ECONNREFUSED {
		t.Errorf("control: %v", errno)
	}
	if _, errno := jailedChild(t, 702, 512, "open", "/etc/hostname"); errno != unix.EACCES {
		t.Errorf("open: %v", errno)
	}
	installEventRoles(t, k)
	list := untilPodEnd(t, k, 512)
	net, file := ofPod(list, 511, "denial"), ofPod(list, 512, "denial")
	if len(net) != 1 || net[0].Rule.Place != "event.toml:18" || net[0].Reason != "rule" {
		t.Errorf("%+v", net)
	}
	if len(file) != 1 || file[0].Rule.Place != "event.toml:15" || file[0].Path != "/etc/hostname" {
		t.Errorf("%+v", file)
	}
}

func TestPermissiveReportsAndAllows(t *testing.T) {
	k := testKernel(t)
	installEventRoles(t, k)
	for _, row := range []struct {
		mode string
		role int
		deny bool
	}{{"enforced", 701, false}, {"permissive", isolated, false}, {"enforced", isolated, true}} {
		for _, uid := range []uint32{0, 1000} {
			drain(t, k)
			pod := 600 + row.role + int(uid)
			enter := []string{"enter", fmt.Sprint(row.role), fmt.Sprint(pod), row.mode}
			want := map[bool]unix.Errno{true: unix.EACCES, false: unix.ECONNREFUSED}[row.deny]
			before := counts(t, k)
			if _, errno := child(t, uid, append(enter, "connect", "1", "1009")...); errno != want {
				t.Errorf("%+v: %v, want %v", row, errno, want)
			}
			var found []Event
			for _, e := range ofPod(untilPodEnd(t, k, uint64(pod)), uint64(pod), "denial") {
				if e.Op == "connect" {
					found = append(found, e)
				}
			}
			if len(found) != 1 || found[0].Permissive == row.deny || (found[0].Verdict == "deny") != row.deny {
				t.Errorf("%+v: %+v", row, found)
			}
			if after := counts(t, k); (after.Denied > before.Denied) != row.deny || (after.WouldDeny > before.WouldDeny) == row.deny {
				t.Errorf("%+v: counted %+v, before %+v", row, after, before)
			}
		}
	}
}

func TestPermissiveReachesBeyondTheJailAndEnforcedDoesNot(t *testing.T) {
	testKernel(t)
	target := exec.Command("/bin/sleep", "1000")
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Process.Kill(); _ = target.Wait() }()
	pid := fmt.Sprint(target.Process.Pid)
	for mode, want := range map[string]unix.Errno{"permissive": 0, "enforced": unix.EPERM} {
		if _, errno := child(t, 0, "enter", fmt.Sprint(isolated), "0", mode, "ptrace", pid); errno != want {
			t.Errorf("%s: ptrace of an outsider: %v, want %v", mode, errno, want)
		}
	}
}

func TestRefusedEnrollmentIsAnEvent(t *testing.T) {
	k := testKernel(t)
	installEventRoles(t, k)
	drain(t, k)
	pid, errno := child(t, 1000, "enter", "700", "0", "enforced", "open", "/")
	if errno == 0 {
		t.Error("an ordinary user entered a role that is root's")
	}
	var found []Event
	for _, e := range drain(t, k) {
		if e.Op == "enroll" && e.PID == uint32(pid) {
			found = append(found, e)
		}
	}
	if len(found) != 1 || found[0].Detail != refusals[Refusal(bpf.JailRefusalREFUSED_USER)] || found[0].Role != "closed" || found[0].UID != 1000 {
		t.Errorf("%+v", found)
	}
}

func TestRefusedEnrollmentsHaveALimit(t *testing.T) {
	k := testKernel(t)
	installEventRoles(t, k)
	drain(t, k)
	before := counts(t, k)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range 10_000 {
		if _, err := prctl(bpf.JailPrctlPRCTL_ARM, 99_999); err == nil {
			t.Fatal("a role that is not loaded was armed")
		}
	}
	_ = Disarm()
	told := uint64(0)
	for _, e := range drain(t, k) {
		if e.Op == "enroll" && e.Kind == "denial" {
			told++
		}
	}
	after := counts(t, k)
	if suppressed := after.Suppressed - before.Suppressed; told+suppressed != 10_000 || suppressed == 0 || after.Lost != before.Lost {
		t.Errorf("%d told, %d suppressed, %d lost", told, suppressed, after.Lost-before.Lost)
	}
}
