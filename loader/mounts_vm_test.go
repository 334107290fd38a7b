//go:build vm

package loader

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

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

// TestTenThousandMountsChangeNoVerdict: of one file system, each within another, so that a
// file has thousands of names.
func TestTenThousandMountsChangeNoVerdict(t *testing.T) {
	const dir = "/srv/many"
	k := testKernel(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(dir, 0o755))
	must(unix.Mount("none", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	for _, d := range []string{"/open", "/hidden"} {
		must(os.Mkdir(dir+d, 0o755))
	}
	// Each binds all that is there so far: 2^14 mounts.
	alias := dir
	for i := range 14 {
		within := fmt.Sprintf("%s/%d", dir, i)
		must(os.Mkdir(within, 0o755))
		must(unix.Mount(dir, within, "", unix.MS_BIND|unix.MS_REC, ""))
		if i%4 == 0 {
			alias = fmt.Sprintf("%s/%d/%s", dir, i, strings.TrimPrefix(alias, dir))
		}
	}
	table, err := os.ReadFile(processOne.mounts())
	must(err)
	if n := bytes.Count(table, []byte("\n")); n < 10000 {
		t.Fatalf("only %d mounts", n)
	}
	r := &profiles.Role{ID: 902, Name: "many"}
	r.Files = []profiles.FileRule{
		{Path: dir + "/open", Access: profiles.Read | profiles.Write | profiles.Exec},
		{Path: attackBinary, Access: profiles.Read | profiles.Exec},
	}
	must(k.InstallRoles([]*profiles.Role{r}))
	must(k.RefreshMounts())
	unlink := attack{name: "F31_unlink"}
	for _, at := range []string{dir, dir + "/13", alias} {
		for d, want := range map[string]unix.Errno{"/open": 0, "/hidden": unix.EACCES} {
			file := at + d + "/file"
			must(os.WriteFile(file, nil, 0o644))
			if got := unlink.run(t, "root", r.ID, []string{file}); got != int(want) {
				t.Errorf("unlink %s: %s, want %s", file, status(got), status(int(want)))
			}
			_ = os.Remove(file)
		}
	}
}

// TestEveryMountIsFollowed: the kernel wakes a follower once for each change of the table, and
// who else polls the same open file takes that away. The runtime's poller did, now and then.
func TestEveryMountIsFollowed(t *testing.T) {
	refreshed := make(chan struct{}, 1)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- FollowMounts(ctx, func() error {
			select {
			case refreshed <- struct{}{}:
			default:
			}
			return nil
		}, func(err error) { t.Error(err) })
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	wait := func(what string) {
		t.Helper()
		select {
		case <-refreshed:
		case <-time.After(30 * time.Second):
			t.Fatal(what + " went unnoticed")
		}
	}
	wait("the table at the start")
	dir := t.TempDir()
	for range 200 {
		if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		wait("a mount")
		if err := unix.Unmount(dir, 0); err != nil {
			t.Fatal(err)
		}
		wait("an unmount")
	}
}
