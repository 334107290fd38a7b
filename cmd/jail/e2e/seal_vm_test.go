//go:build vm

package e2e

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"jail/bpf"
)

// A seal lasts until the next boot, so these tests have a VM of their own (suite vm-seal) and
// go from one state to the next in this order. The test binary is not the program that is
// sealed: what it does, root does that is outside any jail and has all capabilities.

const pins = "/sys/fs/bpf/jail"

// pinOf is the pin of that name; the directories of the set that acts are found before the
// seal, as after it nobody else can list them.
func pinOf(t *testing.T, kind, name string) string {
	t.Helper()
	if pinDirs[kind] == "" {
		found, err := filepath.Glob(filepath.Join(pins, kind, "*"))
		if err != nil || len(found) != 1 {
			t.Fatalf("pins %s: %v %v", kind, found, err)
		}
		pinDirs[kind] = found[0]
	}
	return filepath.Join(pinDirs[kind], name)
}

var pinDirs = make(map[string]string)

// bpfCall is bpf(2).
func bpfCall(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// objectGet is BPF_OBJ_GET.
func objectGet(path string, flags uint32) (int, error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	attr := struct {
		path      uint64
		fd, flags uint32
	}{path: uint64(uintptr(unsafe.Pointer(name))), flags: flags}
	return bpfCall(unix.BPF_OBJ_GET, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// rows are attacks of loader/testdata/attacks that a seal refuses to root, with the same on
// what is allowed; each is tried before the seal, too.
var sealedRows = []struct {
	id      string
	attack  []string
	control []string // nil: only what it was before the seal
}{
	{"S01", []string{"S01_map_by_pin", "maps:control_block"}, []string{"S01_map_by_pin", "own"}},
	{"S01", []string{"S01_map_by_pin", "maps:policies"}, []string{"S01_map_by_pin", "own"}},
	{"S02", []string{"S02_chmod_pins", pins}, []string{"S02_chmod_pins", "/tmp"}},
	{"S02", []string{"S02_mkdir_pins", pins + "/attack"}, []string{"S02_mkdir_pins", "/tmp/attack"}},
	{"S02", []string{"S02_rename_pins", pins}, []string{"S02_rename_pins", "/tmp/jail-moved"}},
	{"S02", []string{"S02_umount", "/sys/fs/bpf"}, []string{"S02_umount", "/tmp"}},
	{"S04", []string{"S04_link_by_id", "30"}, []string{"S04_link_by_id", "12"}},
	{"S04", []string{"S04_program_by_id", "13"}, []string{"S04_program_by_id", "11"}},
	{"S05", []string{"S05_load_lsm", "29"}, []string{"S05_load_lsm", "1"}},
	{"S06", []string{"X05_exe_file"}, nil},
	{"S08", []string{"S08_iopl"}, nil},
	{"S08", []string{"S08_kcore", "/proc/kcore"}, []string{"S08_kcore", "/dev/null"}},
	{"S08", []string{"S08_mem", "/dev/mem"}, []string{"S08_mem", "/dev/null"}},
	{"S11", []string{"S11_iterator", "links:subjects_iter"}, []string{"S11_iterator", "/dev/null"}},
}

func rowStatus(t *testing.T, row []string) int {
	t.Helper()
	args := append([]string{}, row...)
	for i, arg := range args {
		for _, kind := range []string{"maps", "links"} {
			if name, ok := strings.CutPrefix(arg, kind+":"); ok {
				args[i] = pinOf(t, kind, name)
			}
		}
	}
	return run(t, "/attacks", args...).status
}

// refusedRow reports an attack in the manner of the other rows.
func refusedRow(t *testing.T, id, name string, err error) {
	t.Helper()
	if err != unix.EPERM {
		t.Errorf("%s %s: %v, want EPERM", id, name, err)
	}
	t.Logf("attack %-4s %-40s sealed=%v", id, name, err)
}

// enrollTables are what is listed when the seal comes.
const enrollTables = `[[enroll]]
exec = "/usr/local/bin/listed"
role = "worker"

[[enroll]]
exec = "/opt/listed"
role = "isolated"
[[enroll]]
cgroup = "/listed.slice"
role = "worker"
`

// writeConfig writes jail.toml, which no load reads before it is there.
func writeConfig(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile("/etc/jail/jail.toml", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSeal(t *testing.T) {
	load(t)
	writeConfig(t, enrollTables)
	writeRoles(t, lateRoles)
	run(t, jailPath, "reload").want(t, 0)
	if err := os.WriteFile("/tmp/code", make([]byte, 4096), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = pinOf(t, "links", "file_open")
	for _, row := range sealedRows {
		if got := rowStatus(t, row.attack); got != 0 {
			t.Errorf("before the seal: %v: status %d, want 0", row.attack, got)
		}
	}
	// As systemd has it: what happens on a copy of the mount happens here.
	if err := unix.Mount("", "/sys", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	calls := sealedCalls(t)
	for i := range calls {
		if calls[i].before = calls[i].try(); calls[i].before == unix.EPERM {
			t.Errorf("before the seal: %s: %v", calls[i].name, calls[i].before)
		}
	}
	back, err := objectGet(pinOf(t, "programs", "seal_to"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(back)
	admit, err := objectGet(pinOf(t, "programs", "admit_role"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(admit)
	t.Run("IsRefusedWhileADescriptorIsHeld", func(t *testing.T) {
		fd, err := objectGet(pinOf(t, "maps", "policies"), 0)
		if err != nil {
			t.Fatal(err)
		}
		run(t, jailPath, "load", "--seal").want(t, 1, "held by others", "policies", "e2e")
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
		wantSeal(t, "no")
	})
	t.Run("IsRefusedWhileMemoryIsMapped", func(t *testing.T) {
		fd, err := objectGet(pinOf(t, "maps", "control_block"), 0)
		if err != nil {
			t.Fatal(err)
		}
		data, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
		run(t, jailPath, "load", "--seal").want(t, 1, "held by others", "control_block")
		if err := unix.Munmap(data); err != nil {
			t.Fatal(err)
		}
		wantSeal(t, "no")
		run(t, jailPath, "run", "-r", "/tmp", "--", "true").want(t, 0) // as before
	})
	sysctl, err := os.OpenFile("/proc/sys/kernel/ftrace_enabled", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sysctl.Close()
	run(t, jailPath, "load", "--seal").want(t, 0)
	wantSeal(t, "yes")
	t.Run("ClosesWhatRootCouldDo", func(t *testing.T) {
		for _, row := range sealedRows {
			got, control := rowStatus(t, row.attack), 0
			if row.control != nil {
				control = rowStatus(t, row.control)
			}
			if got != int(unix.EPERM) || control != 0 {
				t.Errorf("%v: status %d and %d, want EPERM and 0", row.attack, got, control)
			}
			t.Logf("attack %-4s %-40s sealed=%v control=%v", row.id, row.attack[0], unix.Errno(got), control)
		}
	})
	t.Run("ClosesBpfAndTheKernelsDoors", func(t *testing.T) {
		for _, c := range calls {
			err := c.try()
			switch {
			case !c.open:
				refusedRow(t, c.id, c.name, err)
			case err != c.before:
				t.Errorf("control: %s: %v before, %v now", c.name, c.before, err)
			}
		}
	})
	t.Run("HasNoWayBackByADescriptorOfItsProgram", func(t *testing.T) {
		for level := range uint32(2) {
			context := make([]byte, 4)
			binary.LittleEndian.PutUint32(context, level)
			if answer := runProgram(t, back, context); answer != unix.EPERM {
				t.Errorf("seal_to(%d): %v, want EPERM", level, answer)
			}
		}
		// Takes, writes, shows, leaves, narrows: by another program than ours.
		for op := range uint32(6) {
			for room := range uint32(32) {
				context := make([]byte, unsafe.Sizeof(bpf.JailAdmission{}))
				binary.LittleEndian.PutUint32(context[8:], op)
				binary.LittleEndian.PutUint32(context[12:], room)
				if answer := runProgram(t, admit, context); answer != unix.EPERM {
					t.Errorf("admit_role, operation %d of room %d: %v, want EPERM", op, room, answer)
				}
			}
		}
		_, err := objectGet(pinOf(t, "programs", "admit_role"), 0)
		refusedRow(t, "S04", "BPF_OBJ_GET of admit_role", err)
		wantSeal(t, "yes")
	})
	t.Run("ClosesThePinsMountsElsewhere", closesPinsElsewhere)
	t.Run("ClosesThePinsMounts", func(t *testing.T) {
		for _, at := range []string{"/sys", "/sys/fs/bpf"} {
			refusedRow(t, "S02", "umount -l "+at, unix.Unmount(at, unix.MNT_DETACH))
			refusedRow(t, "S02", "mount over "+at, unix.Mount("none", at, "tmpfs", 0, ""))
			refusedRow(t, "S02", "mount --move "+at, unix.Mount(at, "/mnt", "", unix.MS_MOVE, ""))
		}
		refusedRow(t, "S02", "remount of bpffs", unix.Mount("none", "/sys/fs/bpf", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		refusedRow(t, "S02", "unlink of a pin", os.Remove(pinOf(t, "links", "file_open")).(*os.PathError).Err)
		if err := unix.Mount("none", "/mnt", "tmpfs", 0, ""); err != nil {
			t.Errorf("control: mount: %v", err)
		}
		if err := unix.Unmount("/mnt", unix.MNT_DETACH); err != nil {
			t.Errorf("control: umount: %v", err)
		}
	})
	t.Run("ClosesMapsToReadersToo", func(t *testing.T) {
		for _, name := range []string{"roles", "events", "denials", "subjects"} {
			for _, flags := range []uint32{0, unix.BPF_F_RDONLY} {
				_, err := objectGet(pinOf(t, "maps", name), flags)
				refusedRow(t, "S01", "BPF_OBJ_GET of "+name, err)
			}
			_, err := os.ReadFile(pinOf(t, "maps", name))
			refusedRow(t, "S11", "read the pin of "+name, err.(*os.PathError).Err)
		}
		for id := uint32(0); ; {
			next := struct{ id, next, flags uint32 }{id: id}
			if _, err := bpfCall(unix.BPF_MAP_GET_NEXT_ID, unsafe.Pointer(&next), unsafe.Sizeof(next)); err != nil {
				break
			}
			id = next.next
			get := struct{ id, next, flags uint32 }{id: id}
			fd, err := bpfCall(unix.BPF_MAP_GET_FD_BY_ID, unsafe.Pointer(&get), unsafe.Sizeof(get))
			if err != nil {
				continue
			}
			// What opens is none of ours: constants, which are frozen.
			info, _ := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
			if !strings.Contains(string(info), "frozen:\t1") {
				t.Errorf("map %d opens: %s", id, info)
			}
			_ = unix.Close(fd)
		}
	})
	t.Run("ClosesTheKernelsSurface", func(t *testing.T) {
		if _, err := sysctl.WriteString("0\n"); err == nil {
			t.Error("ftrace_enabled was written through a descriptor from before the seal")
		}
		refusedRow(t, "P14", "write of ftrace_enabled", writeFile("/proc/sys/kernel/ftrace_enabled", "0\n"))
		if err := writeFile("/proc/sys/vm/swappiness", "60\n"); err != nil {
			t.Errorf("control: another sysctl: %v", err)
		}
		self, err := os.Open("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		defer self.Close()
		refusedRow(t, "S09", "finit_module", unix.FinitModule(int(self.Fd()), "", 0))
		refusedRow(t, "S09", "init_module", unix.InitModule(make([]byte, 64), ""))
		_, _, errno := unix.Syscall6(unix.SYS_KEXEC_FILE_LOAD, self.Fd(), self.Fd(), 0, 0, 0, 0)
		refusedRow(t, "S09", "kexec_file_load", errno)
		_, _, errno = unix.Syscall6(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0, 0, 0)
		refusedRow(t, "S09", "kexec_load", errno)
		if err := os.MkdirAll("/tmp/tracing", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("none", "/tmp/tracing", "tracefs", 0, ""); err == nil {
			refusedRow(t, "S08", "kprobe by tracefs", writeFile("/tmp/tracing/kprobe_events", "p:attack do_exit\n"))
			_ = unix.Unmount("/tmp/tracing", unix.MNT_DETACH)
		}
	})
	t.Run("IsTold", func(t *testing.T) { // before another log takes it
		if r := run(t, jailPath, "log"); r.status != 0 || !strings.Contains(r.stdout, "seal") {
			t.Errorf("log tells nothing of the seal: %+v", r)
		}
	})
	t.Run("ClosesOurProgramsProcesses", func(t *testing.T) {
		cmd := exec.Command(jailPath, "log", "-f")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		time.Sleep(time.Second)
		refusedRow(t, "S06", "ptrace of jail", unix.PtraceSeize(cmd.Process.Pid))
		pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pidfd)
		_, err = unix.PidfdGetfd(pidfd, 3, 0)
		refusedRow(t, "S06", "pidfd_getfd of jail", err)
		memory := "/proc/" + strconv.Itoa(cmd.Process.Pid) + "/mem"
		if err := opening(memory, unix.O_RDWR)(); err != unix.EACCES && err != unix.EPERM {
			t.Errorf("S06 %s: %v, want it refused", memory, err)
		}
		data := []byte{0}
		local := []unix.Iovec{{Base: &data[0], Len: 1}}
		_, err = unix.ProcessVMWritev(cmd.Process.Pid, local, []unix.RemoteIovec{{Base: 0x400000, Len: 1}}, 0)
		refusedRow(t, "S06", "process_vm_writev to jail", err)
		other := exec.Command("sleep", "100")
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
		if err := opening("/proc/"+strconv.Itoa(other.Process.Pid)+"/mem", unix.O_RDWR)(); err != nil {
			t.Errorf("control: memory of another: %v", err)
		}
		if err := unix.PtraceSeize(other.Process.Pid); err != nil {
			t.Errorf("control: ptrace of another: %v", err)
		}
	})
	t.Run("KeepsWhatIsLoaded", func(t *testing.T) {
		run(t, jailPath, "unload").want(t, 1, "sealed")
		run(t, jailPath, "unload", "--force").want(t, 1, "sealed")
		run(t, jailPath, "upgrade").want(t, 1, "sealed")
		run(t, jailPath, "reload").want(t, 0) // nothing would change
		run(t, jailPath, "load").want(t, 0)
	})
	t.Run("TellsWhichWaysInItKeeps", func(t *testing.T) {
		run(t, jailPath, "reload", "--dry-run").want(t, 0)
		for text, want := range map[string]string{
			// The loaded one changes, goes, and another comes.
			strings.ReplaceAll(enrollTables, "worker", "restricted"): "/usr/local/bin/listed: changed",
			"": "/usr/local/bin/listed: gone",
			enrollTables + "[[enroll]]\nexec = \"/usr/local/bin/more\"\nrole = \"worker\"\n":                      "/usr/local/bin/more: new",
			enrollTables + "[[enroll]]\ncgroup = \"/more.slice\"\nrole = \"worker\"\n":                            "/more.slice: new",
			strings.Replace(enrollTables, "/listed.slice", "/other.slice", 1):                                     "/listed.slice: gone",
			strings.Replace(enrollTables, "cgroup = \"/listed.slice\"", "cgroup = \"/listed.slice\"\npod = 7", 1): "/listed.slice: changed",
		} {
			writeConfig(t, text)
			run(t, jailPath, "reload").want(t, 1, "sealed", want)
			path, kind, _ := strings.Cut(want, ": ")
			r := run(t, jailPath, "reload", "--dry-run")
			r.want(t, 1, "sealed")
			if !strings.Contains(r.stdout, path) || !strings.Contains(r.stdout, kind) {
				t.Errorf("reload --dry-run: %s, want %s", r.stdout, want)
			}
		}
		// In another order they are the same.
		first, second, _ := strings.Cut(enrollTables, "\n\n")
		writeConfig(t, second+first+"\n")
		run(t, jailPath, "reload").want(t, 0)
		writeConfig(t, enrollTables)
		run(t, jailPath, "reload").want(t, 0)
		run(t, jailPath, "reload", "--dry-run").want(t, 0)
	})
	t.Run("LeavesTheRestAtWork", func(t *testing.T) {
		run(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/passwd").want(t, 1, "Permission denied")
		run(t, jailPath, "run", "--role", "permissive", "--", "cat", "/etc/passwd").want(t, 0)
		runAsUser(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/passwd").want(t, 1, "Permission denied")
		if r := run(t, jailPath, "why", "--last", "3"); r.status != 0 || !strings.Contains(r.stdout, "/etc/passwd") {
			t.Errorf("why: %+v", r)
		}
		cmd := exec.Command("sleep", "100")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		run(t, jailPath, "enroll", "--role", "worker", strconv.Itoa(cmd.Process.Pid)).want(t, 0)
		if list := subjects(t); len(list) == 0 {
			t.Error("ps lists nobody")
		}
	})
	t.Run("LetsRolesCome", letsRolesCome)
	t.Run("LetsRulesOfOneStartCome", letsRulesCome)
	t.Run("LetsUsersRulesCome", letsUsersRulesCome)
	t.Run("LetsPoliciesGetStricter", letsPoliciesGetStricter)
	t.Run("RefusesPoliciesThatAreNotStricter", refusesWiderPolicies)
	t.Run("LetsMarksComeAndNotGo", func(t *testing.T) {
		data, err := os.ReadFile("/bin/true")
		if err != nil {
			t.Fatal(err)
		}
		name := "/usr/local/bin/sealed-mark"
		if err := os.WriteFile(name, data, 0o755); err != nil {
			t.Fatal(err)
		}
		run(t, jailPath, "mark", "--role", "worker", name).want(t, 0)
		run(t, jailPath, "reload").want(t, 0)
		run(t, jailPath, "mark", "--role", "permissive", name).want(t, 1)
		run(t, jailPath, "reload").want(t, 1, "sealed", name)
		run(t, jailPath, "unmark", name).want(t, 1)
		refusedRow(t, "S07", "removexattr of a mark", unix.Removexattr(name, "security.bpf.jail"))
		if err := unix.Setxattr(name, "user.control", []byte("1"), 0); err == nil {
			if err := unix.Removexattr(name, "user.control"); err != nil {
				t.Errorf("control: %v", err)
			}
		}
	})
	run(t, jailPath, "load", "--seal=strict").want(t, 0)
	wantSeal(t, "strict")
	run(t, jailPath, "load", "--seal").want(t, 0)
	wantSeal(t, "strict")
	run(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/passwd").want(t, 1, "Permission denied")
	t.Run("StrictRefusesRolesAndStricterPolicies", strictRefusesAll)
}

// runProgram is BPF_PROG_TEST_RUN; it gives what the program answers.
func runProgram(t *testing.T, fd int, context []byte) unix.Errno {
	t.Helper()
	// prog_fd, retval, sizes and data of test input, repeat, duration, size and address of the context
	test := struct {
		fd, value, in, out       uint32
		dataIn, dataOut          uint64
		repeat, duration         uint32
		contextIn, contextOut    uint32
		contextAt, contextBackAt uint64
		flags, cpu, batch, _     uint32
	}{fd: uint32(fd), contextIn: uint32(len(context)), contextAt: uint64(uintptr(unsafe.Pointer(&context[0])))}
	_, err := bpfCall(unix.BPF_PROG_TEST_RUN, unsafe.Pointer(&test), unsafe.Sizeof(test))
	runtime.KeepAlive(context)
	if err != nil {
		t.Errorf("run a program: %v", err)
	}
	return unix.Errno(test.value)
}

// wantSeal asks status, in both forms.
func wantSeal(t *testing.T, want string) {
	t.Helper()
	r := run(t, jailPath, "status", "--json")
	r.want(t, 0)
	var s struct {
		Seal     string   `json:"seal"`
		Sealed   bool     `json:"sealed"`
		Unclosed []string `json:"unclosed"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		t.Fatal(err)
	}
	if s.Seal != want || s.Sealed != (want != "no") || s.Sealed != (len(s.Unclosed) > 0) {
		t.Errorf("status: %+v, want %s", s, want)
	}
	if r := run(t, jailPath, "status"); !strings.Contains(r.stdout, "\nsealed: "+want+"\n") {
		t.Errorf("status: %s", r.stdout)
	}
}

// writeFile writes to a file that is there.
func writeFile(name, text string) error {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(text))
	_ = unix.Close(fd)
	return err
}
