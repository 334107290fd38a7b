package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"jail/scripts"
)

func TestKernelTableNamesTheFourKernels(t *testing.T) {
	specs, err := parseKernels(scripts.Kernels)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"6.1", "6.12", "6.18", "newest"} {
		if _, err := findKernel(specs, name); err != nil {
			t.Error(err)
		}
	}
	if _, err := findKernel(specs, "5.4"); err == nil || !strings.Contains(err.Error(), "have 6.1, 6.12") {
		t.Errorf("unknown kernel: have %v, want an error that lists the known ones", err)
	}
	if _, err := parseKernels("6.1 bookworm # no package\n"); err == nil {
		t.Error("a line of two fields was accepted")
	}
}

func TestTableSkipsCommentsAndEmptyLines(t *testing.T) {
	have := table("# head\n\n a  b # c\n\t\nd\n")
	want := [][]string{{"a", "b"}, {"d"}}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}

func TestMirrorIsThatOfTheSameArchive(t *testing.T) {
	const targets = "Other bookworm http://other/\n" +
		"Debian bookworm-security http://s/\nDebian bookworm http://m/\nDebian bookworm-updates http://u/\n"
	for suite, want := range map[string]string{
		"bookworm": "http://m/", "bookworm-updates": "http://u/", "sid": "http://m/",
		"bookworm-security": "http://s/", "trixie-security": "http://s/",
	} {
		if have := mirrorFor(suite, targets); have != want {
			t.Errorf("%s: have %q, want %q", suite, have, want)
		}
	}
	if have := mirrorFor("sid", "Other x http://other/\n"); have != "" {
		t.Errorf("no Debian: have %q", have)
	}
}

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	index := moduleIndex{
		Modules: map[string]module{
			"a":   {Path: "a.ko", Needs: []string{"b", "c"}},
			"b":   {Path: "b.ko", Needs: []string{"c"}, Prefers: []string{"hash-x", "not-there"}},
			"c":   {Path: "c.ko"},
			"h_x": {Path: "h-x.ko.xz"},
		},
		Aliases: map[string]string{"hash_x": "h_x"},
		Builtin: []string{"virtio_pci"},
	}
	have, err := index.resolve([]string{"virtio-pci", "a", "c"})
	if want := []string{"c.ko", "h-x.ko.xz", "b.ko", "a.ko"}; err != nil || !slices.Equal(have, want) {
		t.Errorf("have %v, %v; want %v", have, err, want)
	}
	if _, err := index.resolve([]string{"zz"}); err == nil || !strings.Contains(err.Error(), "module zz: no such module") {
		t.Errorf("unknown module: have %v", err)
	}
}

func TestQemuVersion(t *testing.T) {
	for text, want := range map[string]int{
		"QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright": 10,
		"QEMU emulator version 7.2.19":                                   7,
		"nonsense":                                                       0,
	} {
		if have := qemuVersion(text); have != want {
			t.Errorf("%q: have %d, want %d", text, have, want)
		}
	}
}

func TestOptions(t *testing.T) {
	specs, err := parseKernels(scripts.Kernels)
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseOptions(specs, "run", strings.Fields(
		"-kernel 6.1 -systemd -icount -file a=/b -file c=/d -env X=1=2 -modules tun,loop -- cmd -v --"))
	if err != nil {
		t.Fatal(err)
	}
	if o.kernel.name != "6.1" || !o.root || o.cpus != 1 ||
		!slices.Equal(o.files, []hostFile{{"a", "/b"}, {"c", "/d"}}) || !slices.Equal(o.env, []string{"X=1=2"}) ||
		!slices.Equal(o.modules, []string{"tun", "loop"}) || !slices.Equal(o.cmd, []string{"cmd", "-v", "--"}) {
		t.Errorf("have %+v", o)
	}
	for _, bad := range []string{"", "-kernel 1.0 -- x", "-file a -- x", "-file a=b -- x", "-env =1 -- x", "-nosuch -- x"} {
		var use usageError
		if _, err := parseOptions(specs, "run", strings.Fields(bad)); !errors.As(err, &use) {
			t.Errorf("%q: have %v, want a usage error", bad, err)
		}
	}
	if _, err := parseOptions(specs, "run", []string{"-help"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: have %v", err)
	}
}

func TestCommasInPathsAreEscaped(t *testing.T) {
	args := machine{output: "/a,b/out"}.args()
	if !slices.Contains(args, "file,id=port1,path=/a,,b/out") {
		t.Errorf("have %q", args)
	}
}

func TestConsoleNotesPanicCutInTwo(t *testing.T) {
	var out bytes.Buffer
	c := consoleWriter{w: &out}
	for _, text := range []string{"fine\r\nKernel pa", "nic - not syncing\r\n"} {
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if !c.panicked || out.String() != "fine\nKernel panic - not syncing\n" {
		t.Errorf("panicked %v, text %q", c.panicked, &out)
	}
}

func TestTailCopiesWhatWasAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	var out bytes.Buffer
	f := tail{path: path, w: &out}
	for _, text := range []string{"", "one ", "two"} { // not there at first
		if err := f.copy(); err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
	if err := f.copy(); err != nil || out.String() != "one two" {
		t.Errorf("have %q, %v", &out, err)
	}
}

// The archive is read back by the cpio of busybox or GNU.
func TestCpioIsReadByCpio(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("no cpio on this machine")
	}
	host := t.TempDir()
	for _, step := range []error{
		os.MkdirAll(host+"/dir/sub", 0o755),
		os.WriteFile(host+"/dir/sub/file", []byte("text\n"), 0o640),
		os.Chmod(host+"/dir/sub/file", 0o750|os.ModeSetuid),
		os.Symlink("sub/file", host+"/dir/link"),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	var archive bytes.Buffer
	w := newCpio(&archive)
	for _, step := range []error{w.tree(host+"/dir", "/x/y"), w.bytes("/x/z", 0o644, "12345"), w.close()} {
		if step != nil {
			t.Fatal(step)
		}
	}
	cmd := exec.Command("cpio", "-idm", "--quiet")
	cmd.Dir, cmd.Stdin = t.TempDir(), &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v\n%s", err, out)
	}
	for name, want := range map[string]string{"x/y/sub/file": "text\n", "x/y/link": "text\n", "x/z": "12345"} {
		have, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if err != nil || string(have) != want {
			t.Errorf("%s: have %q, %v; want %q", name, have, err, want)
		}
	}
	info, err := os.Stat(filepath.Join(cmd.Dir, "x/y/sub/file"))
	if err != nil || info.Mode() != 0o750|os.ModeSetuid {
		t.Errorf("mode: have %v, %v", info.Mode(), err)
	}
}

func TestCacheBuildsOnceAndLeavesNothingOnFailure(t *testing.T) {
	c := cache(t.TempDir())
	if _, err := c.once("x", func(string) error { return errors.New("no luck") }); err == nil {
		t.Error("a failed build gave no error")
	}
	var builds int
	for range 2 {
		dir, err := c.once("x", func(tmp string) error {
			builds++
			return os.WriteFile(filepath.Join(tmp, "f"), nil, 0o600)
		})
		if err != nil || !exists(filepath.Join(dir, "f")) {
			t.Errorf("have %s, %v", dir, err)
		}
	}
	if builds != 1 {
		t.Errorf("built %d times", builds)
	}
	if left, _ := filepath.Glob(string(c) + "/.tmp-*"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}
