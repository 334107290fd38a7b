// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"jail/launcher"
	"jail/loader"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the scripts and the man page")

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // a profile that its group may write is refused
	testscript.Main(m, map[string]func(){"jail": main})
}

// TestScripts runs testdata/*.txtar against the real command. They neither load nor
// unload anything: where this machine could, the scripts that would are left out.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			// The machine's own /etc/jail must not matter.
			e.Setenv(configEnv, filepath.Join(e.WorkDir, "etc"))
			// Nor must entries that this user may not search: a command that could be
			// there is "cannot execute", not "not found".
			path := slices.DeleteFunc(filepath.SplitList(e.Getenv("PATH")), func(dir string) bool {
				_, err := os.Stat(filepath.Join(dir, "x"))
				return errors.Is(err, os.ErrPermission)
			})
			e.Setenv("PATH", strings.Join(path, string(filepath.ListSeparator)))
			return os.MkdirAll(filepath.Join(e.WorkDir, "etc", rolesDir), 0o755)
		},
		Condition: condition,
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"status": cmdStatus},
	})
}

// condition adds [root], [loaded] (jail is), [able] (nothing is missing to load it) and
// [inert] (jail is not loaded, and no command could load it).
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Getuid() == 0, nil
	case "loaded":
		return loaded(), nil
	case "able":
		return able(), nil
	case "inert":
		return !loaded() && !able(), nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

var (
	loaded = sync.OnceValue(func() bool {
		_, err := loader.Depth()
		return err == nil
	})
	able = sync.OnceValue(func() bool {
		return !slices.ContainsFunc(loader.Probe(), func(p loader.Prerequisite) bool { return !p.OK })
	})
)

// cmdStatus is `status N COMMAND ARG...`: runs the command and wants that exit status.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND ARG...")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if want, _ := strconv.Atoi(args[0]); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func TestSplitCommand(t *testing.T) {
	parser, err := newParser(&cli{}, testOutput(t))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ args, own, command string }{
		{"run", "run", ""},
		{"run cmd --role b", "run", "cmd --role b"},
		{"run --role a -- cmd --role b", "run --role a", "cmd --role b"},
		{"run --role a cmd -- x", "run --role a", "cmd -- x"},
		{"run --role=a cmd", "run --role=a", "cmd"},
		{"run --role a --dry-run cmd", "run --role a --dry-run", "cmd"},
		{"run --role -- cmd", "run --role --", "cmd"}, // kong refuses it
		{"run --help cmd", "run --help", "cmd"},
		{"run -h -- cmd", "run -h", "cmd"},
		{"run --keep-fd 5 --pod 7 -- -x", "run --keep-fd 5 --pod 7", "-x"},
		{"run --nonsense cmd", "run --nonsense", "cmd"},
		{"run -- -- cmd", "run", "-- cmd"},
		{"run -", "run", "-"},
		{"show -- x", "show -- x", ""},
	}
	for _, tt := range tests {
		own, command := splitCommand(parser.Model, strings.Fields(tt.args))
		if got := strings.Join(own, " "); got != tt.own {
			t.Errorf("%q: own %q, want %q", tt.args, got, tt.own)
		}
		if got := strings.Join(command, " "); got != tt.command {
			t.Errorf("%q: command %q, want %q", tt.args, got, tt.command)
		}
	}
}

func TestValueFollowsShortFlag(t *testing.T) {
	var grammar struct {
		Read string `short:"r"`
		All  bool   `short:"a"`
	}
	parser := kong.Must(&grammar)
	for arg, want := range map[string]bool{"-r": true, "-a": false, "-ar": true, "-r/usr": false, "-ra": false, "-z": false} {
		if got := valueFollows(parser.Model.Flags, arg); got != want {
			t.Errorf("%s: %t, want %t", arg, got, want)
		}
	}
}

// FuzzSplitCommand: wherever kong and splitCommand parse at all, kong finds the same command.
func FuzzSplitCommand(f *testing.F) {
	for _, seed := range []string{"--role\na\n--\nx\n--role\nb", "--pod=1\nx", "--keep-fd\n3\n-h", "--var\na=b\n--dry-run\n--\n--", "-\n--"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		args := append([]string{"run"}, strings.Split(lines, "\n")...)
		var c cli
		parser, err := newParser(&c, testOutput(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(args); err != nil {
			return
		}
		want := c.Run.Command
		if len(want) > 0 && want[0] == "--" {
			want = want[1:]
		}
		_, got := splitCommand(parser.Model, args)
		if !slices.Equal(got, want) {
			t.Errorf("%q: command %q, kong says %q", args, got, want)
		}
	})
}

func TestSplitShebang(t *testing.T) {
	got := splitShebang([]string{"run --role worker -- /usr/bin/python3", "./script", "a b"})
	want := []string{"run", "--role", "worker", "--", "/usr/bin/python3", "./script", "a b"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, args := range [][]string{nil, {""}, {"run"}, {"running wild"}, {"run", "--role x"}} {
		if got := splitShebang(args); !slices.Equal(got, args) {
			t.Errorf("%q became %q", args, got)
		}
	}
}

func TestExitStatus(t *testing.T) {
	run, other := []string{"run"}, []string{"ps"}
	tests := []struct {
		args []string
		err  error
		want int
	}{
		{run, nil, 0},
		{run, errors.New("x"), 125},
		{run, usageError{error: errors.New("x")}, 125},
		{run, fmt.Errorf("x: %w", launcher.ErrNotRunnable), 126},
		{run, withHint(fmt.Errorf("x: %w", launcher.ErrNotFound), "y"), 127},
		{run, loader.ErrNotLoaded, 125},
		{other, nil, 0},
		{other, errNo, 1},
		{other, errors.New("x"), 1},
		{other, usageError{error: errors.New("x")}, 2},
		{nil, usageError{error: errors.New("x")}, 2},
	}
	for _, tt := range tests {
		if got := exitStatus(tt.args, tt.err); got != tt.want {
			t.Errorf("%v, %v: %d, want %d", tt.args, tt.err, got, tt.want)
		}
	}
}

// TestArgumentZeroIsNoOption: neither an empty argv nor a name that looks like an option
// changes what is parsed.
func TestArgumentZeroIsNoOption(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"--role", "-x"} {
		// The test binary is the command where the last part of its name is jail.
		cmd := &exec.Cmd{Path: exe, Args: []string{name + "/jail", "version"}, Dir: dir}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "jail ") {
			t.Errorf("argv[0] %q: %v: %s", name, err, out)
		}
	}
	if got := execute(testOutput(t), nil); got != statusUsage {
		t.Errorf("no arguments: status %d, want %d", got, statusUsage)
	}
}

// TestPrivilegeIsGivenUp runs a set-user-ID copy as somebody else.
func TestPrivilegeIsGivenUp(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to make a set-user-ID program")
	}
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "jail")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "jail")
	secret := filepath.Join(dir, "secret.toml")
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.WriteFile(bin, exe, 0o755), os.Chmod(bin, 0o4755),
		os.WriteFile(secret, []byte("root:hash"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		cmd := exec.Command(bin, args...)
		cmd.Dir = "/"
		cmd.Env = []string{configEnv + "=" + dir}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	out := run("roles")
	if !strings.Contains(out, "ignored") {
		if strings.Contains(out, "webserver") {
			t.Skip("the set-user-ID bit has no effect here")
		}
		t.Errorf("no warning: %s", out)
	}
	if out := run("check", secret); !strings.Contains(out, "permission denied") || strings.Contains(out, "hash") {
		t.Errorf("read with privilege: %s", out)
	}
}
