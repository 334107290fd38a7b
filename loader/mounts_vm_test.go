//go:build vm

package loader

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

// TestMountsMadeAfterTheLoadAreNoticed: denied while unknown, judged by where they are
// once they are known, denied when a number came back elsewhere.
func TestMountsMadeAfterTheLoadAreNoticed(t *testing.T) {
	const dir = "/srv/late"
	k := testKernel(t)
	r := &profiles.Role{ID: 901, Name: "late"}
	r.Files = []profiles.FileRule{
		{Path: dir + "/open", Access: profiles.Read | profiles.Write | profiles.Exec},
		{Path: attackBinary, Access: profiles.Read | profiles.Exec},
	}
	for _, d := range []string{"/open", "/closed"} {
		if err := os.MkdirAll(dir+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.InstallRoles([]*profiles.Role{r}); err != nil {
		t.Fatal(err)
	}
	unlink := attack{name: "F31_unlink"}
	expect := func(what, point string, want unix.Errno) {
		t.Helper()
		if err := os.WriteFile(point+"/file", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := unlink.run(t, "root", r.ID, []string{point + "/file"}); got != int(want) {
			t.Errorf("%s: unlink below %s: %s, want %s", what, point, status(got), status(int(want)))
		}
	}
	mount := func(point string) {
		t.Helper()
		if err := unix.Mount("none", point, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	refresh := func() {
		t.Helper()
		if err := k.RefreshMounts(); err != nil {
			t.Fatal(err)
		}
	}
	expect("no mount", dir+"/open", 0)
	mount(dir + "/open")
	expect("new mount, unknown", dir+"/open", unix.EACCES)
	refresh()
	expect("new mount, known", dir+"/open", 0)
	if err := unix.Unmount(dir+"/open", unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	refresh()
	mount(dir + "/closed") // gets the number that is free again
	expect("unmounted, number used again", dir+"/closed", unix.EACCES)
	refresh()
	expect("elsewhere, known", dir+"/closed", unix.EACCES)
	if err := unix.Unmount(dir+"/closed", unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
}
