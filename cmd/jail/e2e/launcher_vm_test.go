//go:build vm

package e2e

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The checklist of set-user-ID launchers: T01 to T58. What is tested elsewhere, and what
// does not apply, is said in notTested.

const (
	suidJail = "/opt/jail/jail" // root:jail 4750, as make install SETUID=1 has it
	jailGID  = 1500
)

// notTested says why a number of the checklist has no row here.
var notTested = map[string]string{
	"T28": "in P10 of TestAttacks",
	"T37": "in F01 to F14 of TestAttacks",
	"T44": "does not apply: there is no join",
	"T55": "in TestSystemdServicesAreJailedAtEveryStart and TestSystemdCronAndSSHStartMarkedFilesJailed of vm-systemd",
}

// suid makes the set-user-ID installation.
func suid(t *testing.T) {
	t.Helper()
	load(t)
	_ = run(t, "groupadd", "-g", fmt.Sprint(jailGID), "jail")
	run(t, "usermod", "-aG", "jail", "user").want(t, 0)
	run(t, "install", "-D", "-o", "root", "-g", "jail", "-m", "4750", jailPath, suidJail).want(t, 0)
}

// userCommand is a command of the ordinary user, who is in the group jail.
func userCommand(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000, Groups: []uint32{1000, jailGID}}}
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/home/user", "USER=user"}
	return cmd
}

// inRole is a command of the user through the set-user-ID jail.
func inRole(role string, argv ...string) *exec.Cmd {
	return userCommand(suidJail, append([]string{"run", "--role", role, "--"}, argv...)...)
}

// script is a shell script of the user; J is the set-user-ID jail.
func script(text string) *exec.Cmd {
	cmd := userCommand("bash", "-c", text)
	cmd.Env = append(cmd.Env, "J="+suidJail)
	return cmd
}

func withEnv(cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func wantOutput(t *testing.T, r result, text string) {
	t.Helper()
	if !strings.Contains(r.stdout, text) {
		t.Errorf("status %d, output %q lacks %q; stderr %s", r.status, r.stdout, text, r.stderr)
	}
}

// marker is a file that a command would make if it ran unjailed; the role forbids it.
func marker(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("/tmp", "marker-"+strings.ReplaceAll(t.Name(), "/", "-"))
	if err := errors.Join(os.MkdirAll(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "ran")
	_ = os.Remove(file)
	return file
}

// refused wants a command that prints a forbidden file not to succeed in that.
func refused(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if r := runCommand(t, cmd); r.status == 0 || r.stdout != "" {
		t.Errorf("%v ran unjailed: %d %s", cmd.Args, r.status, r.stdout)
	}
}

func wantNot(t *testing.T, file string) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		t.Errorf("%s exists: the command ran unjailed", file)
	}
}

var launcherRows = []struct {
	id, name, as string
	test         func(t *testing.T)
}{
	{"T01", "empty_environment", "user", func(t *testing.T) {
		cmd := inRole("isolated", "/usr/bin/id", "-u")
		cmd.Env = []string{}
		r := runCommand(t, cmd)
		r.want(t, 0)
		wantOutput(t, r, "1000\n")
	}},
	{"T02", "loader_variables", "user", func(t *testing.T) {
		// no_new_privs, and no gain: what they do to the command they do to its own rights only
		env := []string{"LD_LIBRARY_PATH=/tmp/x", "GCONV_PATH=/tmp/x", "MALLOC_CHECK_=0", "LD_AUDIT=", "GODEBUG=gctrace=0", "TZ=/nowhere"}
		r := runCommand(t, withEnv(inRole("isolated", "/usr/bin/cat", "/proc/self/environ"), env...))
		r.want(t, 0)
		wantOutput(t, r, strings.Join(env, "\x00"))
		if r.stderr != "" {
			t.Errorf("stderr: %s", r.stderr)
		}
	}},
	{"T03", "runtime_variables", "user", func(t *testing.T) {
		// The plain form, which the first stage answers. With further options the Go runtime
		// starts, and itself writes what they ask for to the caller's own standard error.
		const godebug = "GODEBUG=inittrace=1,gctrace=1"
		r := runCommand(t, withEnv(inRole("isolated", "/usr/bin/cat", "/proc/self/environ"), godebug))
		r.want(t, 0)
		wantOutput(t, r, godebug+"\x00")
		if r.stderr != "" {
			t.Errorf("stderr: %s", r.stderr)
		}
	}},
	{"T04", "no_dump_where_it_crashes", "user", func(t *testing.T) {
		pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
		if err == nil {
			err = os.WriteFile("/proc/sys/kernel/core_pattern", []byte("core"), 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.WriteFile("/proc/sys/kernel/core_pattern", pattern, 0) }()
		file := marker(t)
		dir := filepath.Dir(file)
		cores := func() int {
			list, _ := filepath.Glob(dir + "/core*")
			return len(list)
		}
		start := `ulimit -c unlimited; export GOTRACEBACK=crash; cd ` + dir + `; `
		check := func(what string, r result) {
			t.Helper()
			if r.status == 0 || strings.Contains(r.stderr, "goroutine ") || strings.Contains(r.stderr, "rax ") || cores() > 0 {
				t.Errorf("%s: %d, %d cores: %s", what, r.status, cores(), r.stderr)
			}
			wantNot(t, file)
		}
		runCommand(t, script(start+`sh -c 'kill -QUIT $$'`))
		if cores() != 1 {
			t.Errorf("control: %d cores", cores())
		}
		_ = os.Remove(dir + "/core")
		// The runtime itself gives up where there is no memory for it.
		check("no memory", runCommand(t, script(start+`ulimit -v 20000; exec $J run --role permissive --keep-fd 2 -- touch `+file)))
		// While it loads it has privilege for seconds.
		unloadForTest(t)
		check("SIGQUIT", runCommand(t, script(start+`$J run --role permissive -- touch `+file+` & sleep 0.5; kill -QUIT $!; wait $!`)))
		waitFor(t, "the end of the load", func() bool { return run(t, jailPath, "load").status == 0 })
	}},
	{"T05", "no_caller_named_files", "user", func(t *testing.T) { traced(t, "openat,open,execve") }},
	{"T06", "lying_PWD", "root", func(t *testing.T) {
		const dir = "/tmp/T06"
		run(t, "rm", "-rf", dir).want(t, 0)
		run(t, "mkdir", "-p", dir+"/real", dir+"/other").want(t, 0)
		run(t, "ln", "-s", "real", dir+"/alias").want(t, 0)
		for _, pwd := range []string{dir + "/alias", dir + "/other"} {
			in := func(args ...string) result {
				cmd := exec.Command("env", append([]string{"PWD=" + pwd, jailPath, "run", "-w", "."}, args...)...)
				cmd.Dir = dir + "/real"
				return runCommand(t, cmd)
			}
			wantOutput(t, in("--dry-run", "--", "true"), `"`+dir+`/real"`)
			in("--", "touch", "new").want(t, 0)
			in("--", "touch", dir+"/other/new").want(t, 1, "Permission denied")
		}
	}},
	{"T07", "no_caller_named_programs", "user", func(t *testing.T) { traced(t, "execve") }},
	{"T08", "no_caller_directories", "user", func(t *testing.T) { traced(t, "execve,openat,mkdir,mkdirat,unlink,unlinkat,rename") }},
	{"T09", "config_variable_ignored", "user", func(t *testing.T) {
		r := runCommand(t, withEnv(inRole("isolated", "true"), "JAIL_CONFIG_DIR=/tmp"))
		r.want(t, 0, "ignored")
	}},
	{"T10", "no_arguments_at_all", "user", func(t *testing.T) {
		null, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		pid, err := syscall.ForkExec(suidJail, nil, &syscall.ProcAttr{
			Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
			Sys:   &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000, Groups: []uint32{jailGID}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var ws syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil || ws.ExitStatus() != 2 {
			t.Errorf("status %d, want the usage error, %v", ws.ExitStatus(), err)
		}
	}},
	{"T11", "argv0_is_no_option", "user", func(t *testing.T) {
		r := runCommand(t, script(`exec -a --role $J run --role isolated -- echo hello`))
		r.want(t, 0)
		wantOutput(t, r, "hello\n")
	}},
	{"T12", "many_arguments", "user", func(t *testing.T) {
		args := make([]string, 50_000)
		for i := range args {
			args[i] = "\xff \n"
		}
		args[7], args[8] = "", strings.Repeat("y", 120_000)
		r := runCommand(t, withEnv(inRole("worker", append([]string{"/usr/bin/printf", `%s\0`}, args...)...), "BIG="+strings.Repeat("e", 5000)))
		r.want(t, 0)
		if r.stdout != strings.Join(args, "\x00")+"\x00" {
			t.Error("arguments changed")
		}
	}},
	{"T13", "options_end_at_command", "user", func(t *testing.T) {
		for _, dashes := range []string{"--", ""} {
			r := runCommand(t, script(`$J run --role isolated `+dashes+` echo --role nosuch -- --help`))
			r.want(t, 0)
			wantOutput(t, r, "--role nosuch -- --help\n")
		}
	}},
	{"T14", "closed_standard_fds", "user", func(t *testing.T) {
		out := marker(t)
		r := runCommand(t, script(`$J run --role permissive -- sh -c 'ls -l /proc/$$/fd > `+out+`' <&- >&- 2>&-`))
		r.want(t, 0)
		data, err := os.ReadFile(out)
		if err != nil || strings.Contains(string(data), "bpf") || strings.Contains(string(data), "/etc/jail") {
			t.Errorf("descriptors: %s %v", data, err)
		}
	}},
	{"T15", "inherited_fd_closed", "user", func(t *testing.T) {
		r := runCommand(t, script(`exec 3</etc/hostname; $J run --role permissive -- sh -c 'cat <&3'`))
		if r.status == 0 {
			t.Errorf("descriptor 3 arrived: %s", r.stdout)
		}
		runCommand(t, script(`exec 3</etc/hostname; $J run --keep-fd 3 --role permissive -- sh -c 'cat <&3'`)).want(t, 0)
	}},
	{"T16", "own_fds_closed", "user", func(t *testing.T) {
		r := runCommand(t, inRole("permissive", "sh", "-c", "echo /proc/$$/fd/*"))
		r.want(t, 0)
		// 3 is the shell's own look into the directory
		if got := regexp.MustCompile(`/proc/\d+/fd/`).ReplaceAllString(r.stdout, ""); got != "0 1 2 3\n" {
			t.Errorf("descriptors %s", got)
		}
	}},
	{"T17", "descriptor_limit", "user", func(t *testing.T) {
		for _, n := range []int{3, 4, 5, 16} {
			refused(t, script(fmt.Sprintf(`ulimit -n %d; exec $J run --role restricted -- cat /etc/hostname`, n)))
		}
		for _, n := range []string{"1024", "100"} {
			r := runCommand(t, script(`ulimit -Sn `+n+`; exec $J run --role worker -- sh -c 'ulimit -Sn'`))
			r.want(t, 0)
			wantOutput(t, r, n+"\n")
		}
	}},
	{"T18", "full_output", "user", func(t *testing.T) {
		runCommand(t, script(`$J roles > /dev/full`)).want(t, 1)
		runCommand(t, script(`$J run --role isolated -- true > /dev/full`)).want(t, 0)
	}},
	{"T19", "deleted_cwd", "user", func(t *testing.T) {
		runCommand(t, script(`mkdir /tmp/T19 && cd /tmp/T19 && rmdir /tmp/T19 && $J run --role isolated -- true`)).want(t, 0)
		runCommand(t, script(`mkdir -p /tmp/T19b && cd /tmp/T19b && chmod 0 . && $J run --role isolated -- true; s=$?; cd /; chmod 700 /tmp/T19b; exit $s`)).want(t, 0)
	}},
	{"T20", "umask", "root", func(t *testing.T) {
		unloadForTest(t)
		for _, mask := range []string{"0000", "0777"} {
			r := run(t, "bash", "-c", "umask "+mask+"; "+jailPath+" run --role permissive -- sh -c umask")
			r.want(t, 0)
			wantOutput(t, r, mask)
		}
		for _, file := range []string{"", "/maps", "/programs", "/links"} {
			if info, err := os.Stat("/sys/fs/bpf/jail" + file); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s: %v %v", file, info, err)
			}
		}
		pins, _ := filepath.Glob("/sys/fs/bpf/jail/maps/*/*")
		for _, pin := range pins {
			if info, err := os.Stat(pin); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v %v", pin, info.Mode(), err)
			}
		}
	}},
	{"T21", "limits", "user", func(t *testing.T) {
		for _, limit := range []string{"-c unlimited", "-f 0", "-u 1", "-s 64", "-s unlimited", "-l 0", "-v 200000", "-t 1", "-i 0"} {
			refused(t, script(`ulimit `+limit+`; exec $J run --role restricted -- cat /etc/hostname`))
		}
	}},
	{"T22", "stopped_and_slow", "user", func(t *testing.T) {
		for i := range 20 {
			argv := []string{"-n", "19", "chrt", "--idle", "0", suidJail, "run", "--role", "restricted"}
			if i%2 == 0 { // not through the first stage
				argv = append(argv, "--keep-fd", "2")
			}
			cmd := userCommand("nice", append(argv, "--", "cat", "/etc/hostname")...)
			var out strings.Builder
			cmd.Stdout = &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = cmd.Wait()
			}()
			for running := true; running; {
				select {
				case <-done:
					running = false
				case <-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond):
					_ = cmd.Process.Signal(unix.SIGSTOP)
					time.Sleep(time.Millisecond)
					proc := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
					exe, _ := os.Readlink(proc + "exe")
					if stat, _ := os.ReadFile(proc + "stat"); strings.Contains(string(stat), ") T ") && strings.HasSuffix(exe, "/cat") && !isSubject(t, cmd.Process.Pid) {
						t.Error("stopped in the command, and not jailed")
					}
					_ = cmd.Process.Signal(unix.SIGCONT)
				}
			}
			if out.Len() > 0 {
				t.Error("the command ran unjailed")
			}
		}
	}},
	{"T23", "signal_flood", "user", func(t *testing.T) {
		var wait sync.WaitGroup
		for i := range 60 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				cmd := inRole("restricted", "cat", "/etc/hostname")
				var out strings.Builder
				cmd.Stdout = &out
				if err := cmd.Start(); err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
					_ = cmd.Process.Signal([]os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGALRM, unix.SIGXCPU, unix.SIGURG}[i%6])
				}
				_ = cmd.Wait()
				if out.Len() > 0 {
					t.Error("the command ran unjailed")
				}
			}()
			if i%10 == 9 {
				wait.Wait()
			}
		}
		wait.Wait()
		waitFor(t, "no subjects", func() bool { return len(subjects(t)) == 0 })
	}},
	{"T24", "nohup", "user", func(t *testing.T) {
		for _, sig := range []string{"HUP", "INT", "PIPE", "TERM", "QUIT", "CHLD", "USR1"} {
			r := runCommand(t, script(`trap '' `+sig+`; $J run --role worker -- sh -c 'kill -`+sig+` $$; echo ok'`))
			r.want(t, 0)
			wantOutput(t, r, "ok\n")
		}
	}},
	{"T25", "signals_as_the_caller_had", "user", func(t *testing.T) {
		program := `
import signal, os, sys
for n in range(1, 65):
    if n % int(sys.argv[1]) == 0:
        try: signal.signal(n, signal.SIG_IGN)
        except (OSError, ValueError): pass
    else:
        try: signal.signal(n, signal.SIG_DFL)
        except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_SETMASK, [n for n in range(1, 65) if n % int(sys.argv[2]) == 0])
os.execv(sys.argv[3], sys.argv[3:])`
		for _, sets := range [][2]string{{"1", "1"}, {"2", "3"}, {"3", "2"}, {"65", "65"}, {"5", "1"}, {"1", "65"}} {
			get := func(argv ...string) string {
				r := runCommand(t, userCommand("python3", append([]string{"-S", "-E", "-c", program, sets[0], sets[1]}, argv...)...))
				r.want(t, 0)
				return r.stdout
			}
			want := get("/usr/bin/env", "grep", "^Sig[BI]", "/proc/self/status")
			got := get(suidJail, "run", "--role", "isolated", "--", "/usr/bin/grep", "^Sig[BI]", "/proc/self/status")
			if got != want {
				t.Errorf("ignored %s, blocked %s: %s; env gives %s", sets[0], sets[1], got, want)
			}
		}
	}},
	{"T26", "ignored_sigchld", "root", func(t *testing.T) {
		unloadForTest(t)
		run(t, "python3", "-S", "-c", `
import signal, os
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv("/usr/bin/jail", ["jail", "run", "--role", "worker", "--", "sh", "-c", "exit 7"])`).want(t, 7)
	}},
	{"T27", "terminal", "user", func(t *testing.T) {
		cmd := userCommand("python3", "-S", "-E", "-c", terminal, suidJail, "run", "--role", "worker", "--", "bash", "--norc", "-i")
		cmd.SysProcAttr.Setsid = true
		r := runCommand(t, cmd)
		r.want(t, 0)
		wantOutput(t, r, "as without\n")
	}},
	{"T29", "parent_killed", "user", func(t *testing.T) {
		file := marker(t)
		runCommand(t, script(`$J run --role worker -- sh -c 'sleep 1; touch `+file+`' >/dev/null 2>&1 & kill -9 $$`))
		waitFor(t, "the command that outlives its parent", func() bool { _, err := os.Stat(file); return err == nil })
	}},
	{"T30", "broken_pipe", "user", func(t *testing.T) {
		r := runCommand(t, script(`$J run --role worker -- yes | head -1; echo ${PIPESTATUS[0]}`))
		wantOutput(t, r, "y\n141\n")
		if r.stderr != "" {
			t.Errorf("stderr: %s", r.stderr)
		}
	}},
	{"T31", "privileged_launcher_out_of_reach", "user", func(t *testing.T) {
		unloadForTest(t)
		// Not loaded: the launcher and the loader that it starts have privilege for seconds.
		r := runCommand(t, userCommand("python3", "-S", "-E", "-c", reach, suidJail, "run", "--role", "restricted", "--", "cat", "/etc/hostname"))
		r.want(t, 0)
		if !regexp.MustCompile(`^own: reached\nlauncher: refused [1-9]\d*\nloader: refused [1-9]\d*\ncommand: 1\n$`).MatchString(r.stdout) {
			t.Errorf("%s%s", r.stdout, r.stderr)
		}
	}},
	{"T32", "traced_launcher", "user", func(t *testing.T) {
		// The kernel takes the set-user-ID away; the prctl needs none.
		r := runCommand(t, script(`strace -f -o /dev/null $J run --role restricted -- cat /etc/hostname`))
		if r.status == 0 || r.stdout != "" {
			t.Errorf("the command ran unjailed: %d %s", r.status, r.stdout)
		}
		runCommand(t, script(`strace -f -o /dev/null $J run --role permissive -- cat /etc/hostname`)).want(t, 0)
	}},
	{"T33", "no_new_privs_userns_nosuid", "user", func(t *testing.T) {
		for _, before := range []string{"setpriv --no-new-privs", "unshare -r", "unshare -rm", "$J run --role permissive --"} {
			r := runCommand(t, script(before+` $J run --role restricted -- cat /etc/hostname`))
			if r.status == 0 || r.stdout != "" {
				t.Errorf("%s: the command ran unjailed: %d %s", before, r.status, r.stdout)
			}
		}
		run(t, "mount", "--bind", "/opt/jail", "/mnt").want(t, 0)
		defer func() { _ = unix.Unmount("/mnt", 0) }()
		run(t, "mount", "-o", "remount,bind,nosuid", "/mnt").want(t, 0)
		r := runCommand(t, script(`/mnt/jail run --role restricted -- cat /etc/hostname`))
		if r.status == 0 || r.stdout != "" {
			t.Errorf("nosuid: the command ran unjailed: %d %s", r.status, r.stdout)
		}
	}},
	{"T34", "processes_outside", "user", func(t *testing.T) {
		outside := userCommand("python3", "-S", "-E", "-c", traceable)
		if err := outside.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = outside.Process.Kill(); _ = outside.Wait() }()
		waitFor(t, "a process that all may trace", func() bool {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", outside.Process.Pid))
			return string(name) == "traceable\n"
		})
		probe := []string{"python3", "-S", "-E", "-c", ways + reachOutside, fmt.Sprint(outside.Process.Pid)}
		everything := "PTRACE_SEIZE process_vm_readv process_vm_writev mem fd pidfd_getfd kill"
		wantOutput(t, runCommand(t, userCommand(probe[0], probe[1:]...)), "outside: "+everything+"\nchild: "+everything+"\n")
		wantOutput(t, runCommand(t, inRole("permissive", probe...)), "outside:\nchild: "+everything+"\n")
		wantOutput(t, runCommand(t, inRole("worker", probe...)), "outside:\nchild: fd kill\n")
	}},
	{"T35", "what_the_jail_rests_on", "root", func(t *testing.T) {
		app := markedCat(t, "T35")
		for _, in := range []string{"", "worker", "permissive"} {
			r := inRoleOrNot(t, in, "python3", "-S", "-E", "-c", overwrite, jailPath, app)
			want := strings.Repeat("refused ", 6)
			if in == "" {
				want = strings.Repeat("done ", 6)
			}
			if strings.TrimSpace(r.stdout) != strings.TrimSpace(want) {
				t.Errorf("role %q: %s%s", in, r.stdout, r.stderr)
			}
		}
		run(t, jailPath, "status").want(t, 0)
	}},
	{"T36", "root_and_the_kernel", "root", func(t *testing.T) {
		// What each of the requests, all of them empty or harmless, comes to without a jail.
		r := inRoleOrNot(t, "", "python3", "-S", "-E", "-c", surface)
		wantOutput(t, r, "bpf ENOENT\npin open\nsecurity open\nmount done\nmodule ENOEXEC\nreboot done\nkexec done\n")
		const refused = "bpf EPERM\npin EACCES\nsecurity EACCES\n%smodule EPERM\nreboot EPERM\nkexec EPERM\n"
		wantOutput(t, inRoleOrNot(t, "worker", "python3", "-S", "-E", "-c", surface), fmt.Sprintf(refused, "mount EPERM\n"))
		wantOutput(t, inRoleOrNot(t, "permissive", "python3", "-S", "-E", "-c", surface), fmt.Sprintf(refused, "mount done\n"))
	}},
	{"T38", "role_names", "user", func(t *testing.T) {
		for _, name := range []string{"../../etc/shadow", "a/b", "", strings.Repeat("x", 300), "a\nb", "-x", "/etc/shadow", "\x1b[31m"} {
			r := runCommand(t, userCommand(suidJail, "run", "--role="+name, "--", "true"))
			r.want(t, 125)
			if strings.Contains(r.stderr, "root:") || strings.Contains(r.stderr, "\x1b") || len(r.stderr) > 600 {
				t.Errorf("%q: %s", name, r.stderr)
			}
		}
	}},
	{"T39", "hostile_configuration", "user", func(t *testing.T) {
		setup := `rm -rf /tmp/T39; mkdir -p /tmp/T39/roles.d; cd /tmp/T39/roles.d; `
		for _, make := range []string{"ln -s /etc/shadow x.toml", "mkfifo x.toml", "ln -s /dev/zero x.toml", "truncate -s 10G x.toml", "mkdir x.toml", "chmod 777 ."} {
			file := "touch y.toml; "
			r := runCommand(t, script(setup+file+make+`; exec timeout 60 `+jailPath+` run --config /tmp/T39 --role isolated -- true`))
			r.want(t, 125)
			if strings.Contains(r.stderr, "root:") {
				t.Errorf("%s: %s", make, r.stderr)
			}
			// with privilege the directory is not even looked at
			runCommand(t, script(setup+file+make+`; exec timeout 60 $J run --config /tmp/T39 --role isolated -- true`)).want(t, 0, "ignored")
		}
	}},
	{"T40", "writable_configuration", "root", func(t *testing.T) {
		file := "/etc/jail/roles.d/t40.toml"
		const role = "[roles.t40]\nid = 140\nallow_file_access = true\nallow_exec = true\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(role), 0o644)); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = os.Remove(file)
			run(t, jailPath, "reload").want(t, 0)
		}()
		run(t, jailPath, "reload").want(t, 0)
		run(t, jailPath, "run", "--role", "t40", "--", "true").want(t, 0)
		for _, change := range []func() error{
			func() error { return os.Chmod(file, 0o666) },
			func() error { return errors.Join(os.Chmod(file, 0o644), os.Chown(file, 1000, 0)) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			run(t, jailPath, "run", "--role", "t40", "--", "true").want(t, 125, file)
			runCommand(t, inRole("t40", "true")).want(t, 125, file)
			// a built-in role depends on no file
			runCommand(t, inRole("isolated", "true")).want(t, 0)
		}
	}},
	{"T41", "role_file_in_cwd", "user", func(t *testing.T) {
		text := `[roles.mine]\nid = 150\nusers = ["*"]\n`
		runCommand(t, script(`mkdir -p /tmp/T41/roles.d; cd /tmp/T41; printf '`+text+`' | tee mine mine.toml > roles.d/mine.toml; exec $J run --role mine -- true`)).want(t, 125, "unknown role")
		runCommand(t, script(`cd /tmp/T41; exec $J run --role ./mine.toml -- true`)).want(t, 125, "unknown role")
	}},
	{"T42", "copies_and_names", "user", func(t *testing.T) {
		for _, start := range []string{
			`cp $J /tmp/T42; exec /tmp/T42`, `ln -sf $J /tmp/nginx; exec /tmp/nginx`,
			`exec 9<$J; exec /proc/self/fd/9`, `cd /opt/jail; exec ./jail`,
		} {
			r := runCommand(t, script(start+` run --role restricted -- cat /etc/hostname`))
			r.want(t, 1, "cat: /etc/hostname: Permission denied")
		}
	}},
	{"T43", "forged_jails", "user", func(t *testing.T) {
		// Names and files of a user tell nothing; what the kernel holds does.
		cmd := userCommand("bash", "-c", `mkdir -p /tmp/T43/jail; echo $$ >/tmp/T43/jail/1.pid; printf jail >/proc/$$/comm; exec -a "jail run --role restricted" sleep 60`)
		cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR=/tmp/T43")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		jailed := inRole("worker", "sleep", "60")
		if err := jailed.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = jailed.Process.Kill(); _ = jailed.Wait() }()
		waitFor(t, "the jailed one", func() bool { return isSubject(t, jailed.Process.Pid) })
		if isSubject(t, cmd.Process.Pid) {
			t.Error("a name made a jail")
		}
		// Nor does a number of another user's jail lead into it.
		own := exec.Command(jailPath, "run", "--role", "worker", "--pod", "4343", "--", "sleep", "60")
		if err := own.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = own.Process.Kill(); _ = own.Wait() }()
		waitFor(t, "root's pod", func() bool { return isSubject(t, own.Process.Pid) })
		runCommand(t, userCommand(suidJail, "run", "--role", "worker", "--pod", "4343", "--", "true")).want(t, 125, "another user")
		runCommand(t, userCommand(suidJail, "run", "--role", "worker", "--pod", "4344", "--", "true")).want(t, 0)
		runCommand(t, userCommand(suidJail, "ps")).want(t, 1)
		runCommand(t, userCommand(suidJail, "why", fmt.Sprint(own.Process.Pid))).want(t, 1)
	}},
	{"T45", "privilege_given_up", "user", func(t *testing.T) {
		pick := regexp.MustCompile(`(?m)^(Uid|Gid|Groups|Cap\w+|Seccomp):.*\n`)
		want := strings.Join(pick.FindAllString(runCommand(t, userCommand("cat", "/proc/self/status")).stdout, -1), "")
		r := runCommand(t, inRole("permissive", "cat", "/proc/self/status"))
		if got := strings.Join(pick.FindAllString(r.stdout, -1), ""); got != want || want == "" {
			t.Errorf("got %s want %s", got, want)
		}
		wantOutput(t, r, "NoNewPrivs:\t1\n")
	}},
	{"T46", "no_way_back_to_root", "user", func(t *testing.T) {
		r := runCommand(t, inRole("permissive", "python3", "-S", "-c", `
import os
for f in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setresuid(-1, 0, -1), lambda: os.setgid(0)):
    try: f(); print("gained")
    except PermissionError: print("refused")`))
		r.want(t, 0)
		if r.stdout != strings.Repeat("refused\n", 4) {
			t.Error(r.stdout)
		}
	}},
	{"T47", "set_id_commands", "user", func(t *testing.T) {
		for _, argv := range [][]string{{"sudo", "-n", "true"}, {"su", "-c", "id"}, {"/bin/mount"}} {
			r := runCommand(t, inRole("permissive", argv...))
			r.want(t, 126, "gain privilege")
		}
	}},
	{"T48", "set_id_target_of_a_user", "user", func(t *testing.T) {
		serveSocket(t)
		const start = `
import os
os.execv("/bin/mount", ["mount", "--version"])`
		runAsUser(t, "python3", "-S", "-E", "-c", start).want(t, 0) // control
		for _, kind := range []string{"Enroll", "EnrollAtExec"} {
			r := runAsUser(t, "python3", "-S", "-E", "-c", client+`ask({"`+kind+`": {"pod_id": 0, "role_id": 2}})`+start)
			r.want(t, 1, "PermissionError")
		}
	}},
	{"T49", "root_is_jailed_too", "root", func(t *testing.T) {
		run(t, jailPath, "run", "--role", "restricted", "--", "cat", "/etc/hostname").want(t, 1, "Permission denied")
		want := run(t, "grep", "Cap", "/proc/self/status").stdout
		if got := run(t, jailPath, "run", "--role", "permissive", "--", "grep", "Cap", "/proc/self/status").stdout; got != want {
			t.Errorf("capabilities: %s want %s", got, want)
		}
	}},
	{"T50", "set_group_id_and_file_capabilities", "user", func(t *testing.T) {
		run(t, "install", "-o", "root", "-g", "jail", "-m", "2755", jailPath, "/opt/jail/sgid").want(t, 0)
		run(t, "install", "-m", "755", jailPath, "/opt/jail/caps").want(t, 0)
		run(t, "setcap", "cap_bpf,cap_perfmon,cap_sys_admin+ep", "/opt/jail/caps").want(t, 0)
		for _, binary := range []string{"/opt/jail/sgid", "/opt/jail/caps"} {
			cmd := userCommand(binary, "run", "--role", "permissive", "--", "grep", "-E", "^(Gid|CapEff|NoNew)", "/proc/self/status")
			cmd.SysProcAttr.Credential.Groups = nil
			r := runCommand(t, withEnv(cmd, "JAIL_CONFIG_DIR=/tmp"))
			r.want(t, 0, "ignored")
			wantOutput(t, r, "Gid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n")
		}
	}},
	{"T51", "role_of_others", "user", func(t *testing.T) {
		installRoles(t)
		file := marker(t)
		runCommand(t, inRole("for-root", "touch", file)).want(t, 125, "not open to this user")
		wantNot(t, file)
		runCommand(t, inRole("for-user", "touch", file)).want(t, 0)
	}},
	{"T52", "shebang_and_wrap", "user", func(t *testing.T) {
		text := "#!" + jailPath + ` run --role isolated -- /usr/bin/python3
import socket, sys
try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 1); print("open")
except PermissionError: print("jailed", sys.argv[1:])
`
		if err := os.WriteFile("/tmp/T52.py", []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		run(t, "chmod", "755", "/tmp/T52.py").want(t, 0)
		// isolated may not start programs; the script's interpreter is the command itself
		r := runCommand(t, userCommand("/tmp/T52.py", "a b", "--role", "c"))
		r.want(t, 0)
		wantOutput(t, r, "jailed ['a b', '--role', 'c']\n")
		r = runCommand(t, script(`$J wrap --role restricted cat /etc/hostname > /tmp/T52.sh && chmod +x /tmp/T52.sh && exec /tmp/T52.sh "/etc/a b"`))
		r.want(t, 1, "/etc/hostname: Permission denied", "'/etc/a b'")
	}},
	{"T53", "copies_interpreters_loader", "user", func(t *testing.T) {
		app := markedCat(t, "T53")
		dir := filepath.Dir(app)
		run(t, "bash", "-c", fmt.Sprintf(`cd %s; ln -s app symlink; ln app hardlink; cp app copy; printf '#!%s\n' > interpreted; printf '#!/bin/sh\nexec cat /etc/hostname\n' > script; chmod 755 *`, dir, app)).want(t, 0)
		run(t, jailPath, "mark", "--role", "restricted", dir+"/script").want(t, 0)
		defer run(t, jailPath, "unmark", dir+"/script")
		memory := `import os,sys
f=os.memfd_create("x"); os.write(f, open(sys.argv[1],"rb").read()); os.execv("/proc/self/fd/%d" % f, ["x","/etc/hostname"])`
		for _, c := range []struct {
			name   string
			argv   []string
			jailed bool
		}{
			{"full path", []string{app, "/etc/hostname"}, true},
			{"symbolic link", []string{dir + "/symlink", "/etc/hostname"}, true},
			{"hard link", []string{dir + "/hardlink", "/etc/hostname"}, true},
			{"env", []string{"env", app, "/etc/hostname"}, true},
			{"descriptor", []string{"bash", "-c", "exec 9<" + app + "; exec /proc/self/fd/9 /etc/hostname"}, true},
			{"marked interpreter of a script", []string{dir + "/interpreted"}, true},
			{"marked script", []string{dir + "/script"}, true},
			{"marked script as an argument", []string{"sh", dir + "/script"}, false},
			{"copy", []string{dir + "/copy", "/etc/hostname"}, false},
			{"copy in memory", []string{"python3", "-S", "-c", memory, app}, false},
			{"the dynamic loader", []string{"/lib64/ld-linux-x86-64.so.2", app, "/etc/hostname"}, false},
		} {
			if r := runAsUser(t, c.argv[0], c.argv[1:]...); (r.status != 0) != c.jailed {
				t.Errorf("%s: status %d, jailed should be %v: %s", c.name, r.status, c.jailed, r.stderr)
			}
		}
	}},
	{"T54", "mark_is_roots", "user", func(t *testing.T) {
		app := markedCat(t, "T54")
		run(t, "chown", "user", app).want(t, 0)
		const change = `import os,sys
a=(sys.argv[1], "security.bpf.jail")
for f in (lambda: os.setxattr(*a, b"x"), lambda: os.removexattr(*a)):
    try: f(); print("changed")
    except PermissionError: print("refused")`
		for _, r := range []result{
			runAsUser(t, "python3", "-S", "-c", change, app),
			run(t, jailPath, "run", "--role", "permissive", "--", "python3", "-S", "-c", change, app),
		} {
			if r.stdout != "refused\nrefused\n" {
				t.Errorf("%s %s", r.stdout, r.stderr)
			}
		}
		if !denied(t, app) {
			t.Error("not jailed any more")
		}
	}},
	{"T56", "mark_of_a_role_that_is_gone", "user", func(t *testing.T) {
		file := "/etc/jail/roles.d/t56.toml"
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755),
			os.WriteFile(file, []byte("[roles.t56]\nid = 156\nallow_file_access = true\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
		run(t, jailPath, "reload").want(t, 0)
		app := markedCat(t, "T56")
		run(t, jailPath, "mark", "--role", "t56", app).want(t, 0)
		runAsUser(t, app, "/etc/hostname").want(t, 0) // control
		_ = os.Remove(file)
		unloadForTest(t)
		load(t)
		runCommand(t, userCommand("sh", "-c", "exec "+app+" /etc/hostname")).want(t, 126, "Operation not permitted")
	}},
	{"T57", "not_loaded", "user", func(t *testing.T) {
		unloadForTest(t)
		file := marker(t)
		runAsUser(t, jailPath, "run", "--role", "restricted", "--", "touch", file).want(t, 125, "not loaded")
		wantNot(t, file)
		// with the set-user-ID bit the first run loads, and nothing of the caller's matters
		r := runCommand(t, withEnv(inRole("restricted", "cat", "/etc/hostname"), "PATH=/tmp:/usr/bin", "JAIL_CONFIG_DIR=/tmp", "TMPDIR=/tmp"))
		r.want(t, 1, "cat: /etc/hostname: Permission denied")
		run(t, jailPath, "status").want(t, 0)
	}},
	{"T58", "parallel_starts", "user", func(t *testing.T) {
		var wait sync.WaitGroup
		slots := make(chan struct{}, 50)
		for i := range 1000 {
			slots <- struct{}{}
			cmd := inRole("isolated", "true")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			wait.Add(1)
			go func() {
				defer wait.Done()
				if i%2 == 0 {
					_ = cmd.Process.Kill()
				}
				if err := cmd.Wait(); i%2 == 1 && err != nil {
					t.Errorf("start %d: %v", i, err)
				}
				<-slots
			}()
		}
		wait.Wait()
		waitFor(t, "empty maps", func() bool {
			return len(subjects(t)) == 0 && mapEntries(t, "domains") == 0 && mapEntries(t, "pods") == 0
		})
	}},
}

// inRoleOrNot runs a command of root's in a role, or in none ("").
func inRoleOrNot(t *testing.T, role string, argv ...string) result {
	t.Helper()
	if role != "" {
		argv = append([]string{jailPath, "run", "--role", role, "--"}, argv...)
	}
	return run(t, argv[0], argv[1:]...)
}

func isSubject(t *testing.T, pid int) bool {
	t.Helper()
	for _, s := range subjects(t) {
		if s["pid"] == float64(pid) {
			return true
		}
	}
	return false
}

// terminal runs an interactive shell, by argv and then without it, each on a terminal of its
// own, sends keys, and compares what comes of them.
const terminal = `
import fcntl, os, pty, re, select, struct, sys, termios, time
def talk(argv):
    pid, fd = pty.fork()
    if not pid:
        os.environ["PS1"] = "ready> "
        os.execvp(argv[0], argv)
    seen = b""
    def until(text, limit=60):
        nonlocal seen
        end = time.monotonic() + limit
        while text not in seen:
            if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
                print("no", text, "in", seen, argv); sys.exit(1)
            seen += os.read(fd, 4096)
        at = seen.index(text) + len(text)
        part, seen = seen[:at], seen[at:]
        return part
    def say(text):
        os.write(fd, text)
    story = []
    until(b"ready> ")
    before = termios.tcgetattr(fd)
    for key, status in ((b"\x03", b"130"), (b"\x1c", b"131")):
        say(b"echo go; sleep 1000\n"); until(b"\ngo"); time.sleep(1)
        say(key); until(b"ready> ")
        say(b"echo =$?\n"); until(b"\n="); story.append(until(b"\n")); until(b"ready> ")
    say(b"echo go; sleep 3; echo over\n"); until(b"\ngo"); time.sleep(1)
    say(b"\x1a"); until(b"Stopped"); until(b"ready> ")
    say(b"fg\n"); until(b"sleep 3"); until(b"ready> ")
    say(b"trap 'echo resized' WINCH\n"); until(b"ready> ")
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    say(b"stty size\n"); until(b"33 99"); until(b"ready> ")
    story.append(termios.tcgetattr(fd) == before)
    say(b"exit 3\n")
    story.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return story
argv = sys.argv[1:]
with_jail, without = talk(argv), talk(argv[argv.index("--") + 1:])
print("as without" if with_jail == without and with_jail[-1] == 3 else (with_jail, without))`

// ways are the ways that a debugger has into a process, each tried: Python, tries(pid).
const ways = `
import ctypes, glob, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def tries(pid):
    def call(*args):
        ctypes.set_errno(0)
        r = libc.syscall(*[ctypes.c_long(a) for a in args])
        return r >= 0
    if call(101, 0x4206, pid, 0, 0): libc.syscall(101, 17, pid, 0, 0); yield "PTRACE_SEIZE"
    word = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(word), 8)
    remote = (ctypes.c_size_t * 2)(0x400000, 8)
    for name, nr in (("process_vm_readv", 310), ("process_vm_writev", 311)):
        if call(nr, pid, ctypes.addressof(local), 1, ctypes.addressof(remote), 1, 0) or ctypes.get_errno() == 14: yield name
    try: os.close(os.open("/proc/%d/mem" % pid, os.O_RDWR)); yield "mem"
    except OSError: pass
    try: os.readlink("/proc/%d/fd/0" % pid); yield "fd"
    except OSError: pass
    try:
        fd = os.pidfd_open(pid)
        if call(438, fd, 0, 0): yield "pidfd_getfd"
        os.close(fd)
    except OSError: pass
`

// traceable is a process that Yama lets all others of its user trace.
const traceable = `
import ctypes, time
libc = ctypes.CDLL(None)
libc.prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)
libc.prctl(15, b"traceable", 0, 0, 0)
time.sleep(600)`

// reachOutside says which ways lead to the process of its argument and to a child.
const reachOutside = `
child = os.fork()
if not child:
    time.sleep(600); os._exit(0)
for name, pid in (("outside:", int(sys.argv[1])), ("child:", child)):
    got = list(tries(pid))
    try: os.kill(pid, 0); got.append("kill")
    except PermissionError: pass
    print(name, *got)
os.kill(child, 9); os.waitpid(child, 0)`

// overwrite tries to change what the jail rests on; what it gets done, it undoes.
const overwrite = `
import os, sys
jail, app = sys.argv[1:]
def opened(): os.close(os.open(jail, os.O_WRONLY))
def configured():
    with open("/etc/jail/roles.d/t35.toml", "w"): pass
    os.unlink("/etc/jail/roles.d/t35.toml")
def pins(): os.chmod("/sys/fs/bpf/jail", 0o700)
def moved(): os.rename("/etc/jail/roles.d", "/etc/jail/t35"); os.rename("/etc/jail/t35", "/etc/jail/roles.d")
def marked(): os.setxattr(app, "security.bpf.jail", os.getxattr(app, "security.bpf.jail"))
def replaced(): os.rename(jail, jail + ".t35"); os.rename(jail + ".t35", jail)
for attempt in opened, configured, pins, moved, marked, replaced:
    try: attempt(); print("done", end=" ")
    except PermissionError: print("refused", end=" ")
    except OSError as e: print(attempt.__name__, e, end=" ")`

// surface asks the kernel for what root alone may: nothing that would be felt.
const surface = `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    r = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    print(name, "done" if r >= 0 else errno.errorcode[ctypes.get_errno()])
def opens(name, path, flags):
    try: os.close(os.open(path, flags)); print(name, "open")
    except OSError as e: print(name, errno.errorcode[e.errno])
# no map has a later id than this one
call("bpf", 321, 12, (ctypes.c_uint * 32)(0x7ffffffe), 128)
opens("pin", "/sys/fs/bpf/jail", os.O_RDONLY | os.O_DIRECTORY)
opens("security", "/sys/kernel/security/lockdown", os.O_WRONLY)
call("mount", 165, b"none", b"/mnt", b"tmpfs", 0, None)
libc.umount2(b"/mnt", 2)
call("module", 175, (ctypes.c_char * 8)(), 8, b"")
call("reboot", 169, 0xfee1dead, 672274793, 0, 0)  # ctrl-alt-del asks init
call("kexec", 246, 0, 0, None, 0)`

// reach tries to get at a process by each of the ways that a debugger has: at a child of its
// own, then at the launcher that argv starts and at its child, for as long as they have
// privilege.
const reach = ways + `
own = os.fork()
if not own:
    time.sleep(600); os._exit(0)
print("own:", "reached" if len(list(tries(own))) == 6 else list(tries(own)), flush=True)
os.kill(own, 9); os.waitpid(own, 0)
def privileged(pid):
    try:
        ids = [l.split()[1:] for l in open("/proc/%d/status" % pid) if l.startswith("Uid:")][0]
        return "0" in ids
    except OSError: return False
pid = os.fork()
if not pid:
    os.execv(sys.argv[1], sys.argv[1:])
refused = {pid: 0}
while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
    children = []
    for f in glob.glob("/proc/%d/task/*/children" % pid):
        try: children += [int(c) for c in open(f).read().split()]
        except OSError: pass
    for p in [pid] + children:
        if not privileged(p): continue
        got = list(tries(p))
        # reached, and privileged still: not a process that gave it up meanwhile
        if got and privileged(p): print("reached", p == pid, got)
        refused[p] = refused.get(p, 0) + 1
print("launcher: refused", refused.pop(pid))
print("loader: refused", max(refused.values(), default=0))
print("command:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`

// markedCat is a copy of cat, marked for restricted until the test's end.
func markedCat(t *testing.T, name string) string {
	t.Helper()
	app := "/var/tmp/" + name + "/app"
	run(t, "install", "-D", "-m", "755", "/bin/cat", app).want(t, 0)
	run(t, jailPath, "mark", "--role", "restricted", app).want(t, 0)
	t.Cleanup(func() {
		run(t, jailPath, "unmark", app).want(t, 0)
		_ = os.RemoveAll(filepath.Dir(app))
	})
	return app
}

// traced runs the set-user-ID jail, its caller's every variable pointing to traps, under
// root's strace, which leaves it its privilege.
func traced(t *testing.T, calls string) {
	t.Helper()
	trap := marker(t)
	dir := filepath.Dir(trap)
	for _, name := range []string{"bpftool", "modprobe", "mount", "sh", "id"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\ntouch "+trap+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	log := "/tmp/strace-" + filepath.Base(dir)
	cmd := exec.Command("strace", "-f", "-u", "user", "-o", log, "-e", "trace="+calls, suidJail, "run", "--role", "permissive", "--", "/bin/true")
	cmd.Env = []string{
		"PATH=" + dir, "TZ=/etc/shadow", "ZONEINFO=/root", "TMPDIR=" + dir, "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir,
		"XDG_CONFIG_HOME=" + dir, "LOCPATH=" + dir,
	}
	runCommand(t, cmd).want(t, 0)
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	launcher, _, found := strings.Cut(string(data), `execve("/bin/true"`)
	if !found || !strings.Contains(launcher, "execve(\""+suidJail) {
		t.Fatalf("not traced: %s", data)
	}
	for _, word := range []string{dir, "/etc/shadow", `"/root`} {
		if strings.Contains(launcher, word) {
			t.Errorf("%s in %s", word, launcher)
		}
	}
	if n := strings.Count(launcher, "execve("); n != 1 {
		t.Errorf("%d programs executed: %s", n, launcher)
	}
	wantNot(t, trap)
}

// TestLauncher runs the checklist, one row each.
func TestLauncher(t *testing.T) {
	suid(t)
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	release := strings.Join(strings.SplitN(unix.ByteSliceToString(name.Release[:]), ".", 3)[:2], ".")
	for _, row := range launcherRows {
		good := t.Run(row.id+"_"+row.name, func(t *testing.T) {
			load(t)
			row.test(t)
		})
		fmt.Printf("attack %-4s %-22s %-8s %-5s %s\n", row.id, row.name, release, row.as, map[bool]string{true: "pass", false: "FAIL"}[good])
	}
	for n := 1; n <= 58; n++ {
		id := fmt.Sprintf("T%02d", n)
		why, out := notTested[id]
		rows := 0
		for _, row := range launcherRows {
			if row.id == id {
				rows++
			}
		}
		if out == (rows > 0) {
			t.Errorf("%s: rows %d, reason %q", id, rows, why)
		}
		if out {
			fmt.Printf("attack %-4s %-22s %-8s %-5s none: %s\n", id, "-", release, "-", why)
		}
	}
}
