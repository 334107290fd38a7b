//go:build vm

package loader

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jail/profiles"
	"jail/profiles/profilestest"
)

// TestKernelAgreesWithReferenceMatcher makes the corpus's paths on a tmpfs that stands
// for the whole canonical tree, and opens each under the case's rules.
func TestKernelAgreesWithReferenceMatcher(t *testing.T) {
	const root = "/run/corpus"
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	k := testKernel(t)
	checked := 0
	for i, c := range profilestest.Cases() {
		if err := unix.Mount("none", root, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(root, &st); err != nil {
			t.Fatal(err)
		}
		device := unix.Major(st.Dev)<<20 | unix.Minor(st.Dev)
		if err := unix.Stat(attackBinary, &st); err != nil {
			t.Fatal(err)
		}
		host := unix.Major(st.Dev)<<20 | unix.Minor(st.Dev)
		role := c.Role()
		// The program that opens the paths is on another file system.
		role.Files = append(slices.Clone(role.Files), profiles.FileRule{
			Path: "/zz-host" + attackBinary, Access: profiles.Read | profiles.Exec | profiles.Map,
		})
		role.ID, role.Name = 900, "corpus"
		policy, err := role.Compile(profiles.Env{
			Mounts: []profiles.Mount{
				{Device: device, Root: "/", Point: "/"},
				{Device: host, Root: "/", Point: "/zz-host"},
			},
		})
		if err != nil {
			t.Errorf("case %s: %v", c.Name, err)
			continue
		}
		if err := k.installCompiled([]compiled{{role, policy}}); err != nil {
			t.Fatal(err)
		}
		checked += compareCase(t, root, role.ID, policy, c)
		if err := unix.Unmount(root, 0); err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
	}
	t.Logf("%d paths, the kernel and the reference matcher agree on each", checked)
	if checked < 90 {
		t.Errorf("only %d paths were compared", checked)
	}
}

// compareCase makes a case's paths, opens them jailed and compares; it returns how many.
func compareCase(t *testing.T, root string, role uint32, policy *profiles.Policy, c profilestest.Case) int {
	t.Helper()
	var paths []string
	for _, w := range c.Wants {
		at := root + w.Path
		if strings.HasPrefix(w.Path, "/proc/self") {
			continue // not this file system's affair
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			continue // beneath what is a file by now
		}
		f, err := os.OpenFile(at, os.O_CREATE|os.O_WRONLY, 0o755)
		if err == nil {
			err = f.Close()
		}
		if err != nil && !errors.Is(err, unix.EISDIR) {
			t.Errorf("case %s: %v", c.Name, err)
			continue
		}
		paths = append(paths, w.Path)
	}
	cmd := exec.Command(attackBinary, "-j", "900", "probe", root)
	cmd.Stdin = strings.NewReader("." + strings.Join(paths, "\n.") + "\n")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	got := strings.Fields(string(out))
	if err != nil || len(got) != len(paths) {
		t.Errorf("case %s: %d answers to %d paths: %v", c.Name, len(got), len(paths), err)
		return 0
	}
	for i, path := range paths {
		access, _ := policy.Match(path)
		want := ""
		st, err := os.Stat(root + path)
		if err != nil {
			t.Fatal(err)
		}
		if access&profiles.Read != 0 {
			want += "r"
		}
		if access&profiles.Write != 0 && !st.IsDir() {
			want += "w"
		}
		if access&profiles.Exec != 0 && !st.IsDir() {
			want += "x"
		}
		if want == "" {
			want = "-"
		}
		if got[i] != want {
			t.Errorf("case %s: %q: the kernel grants %s, the reference %s", c.Name, path, got[i], want)
		}
	}
	return len(paths)
}
