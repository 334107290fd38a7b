//go:build vm

package loader

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

const knownDir = "/srv/known"

// knownRoles are two roles: what is below /closed is denied to the first, what is below
// /other to the second. flipped: below /open, to the first.
func knownRoles(t *testing.T, flipped bool) []*profiles.Role {
	t.Helper()
	closed := "closed"
	if flipped {
		closed = "open"
	}
	text := ""
	for id, r := range map[int]struct{ name, dir string }{170: {"first", closed}, 171: {"second", "other"}} {
		text += fmt.Sprintf(`
[roles.%[1]s]
id = %[2]d
allow_file_access = true
allow_exec = true
[[roles.%[1]s.files]]
path = "%[3]s/%[4]s"
deny = true
[[roles.%[1]s.files]]
path = "%[3]s/**/.env"
deny = true
`, r.name, id, knownDir, r.dir)
	}
	return roleSet(t, "known.toml", text).Roles()
}

// asked opens each path that it is told, three times: what is known by the first decides the
// others. It answers with the errno, or -1 where they differ.
func asked() error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		answer := 0
		for i := range 3 {
			fd, err := unix.Open(in.Text(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			errno, _ := err.(unix.Errno)
			if err == nil {
				_ = unix.Close(fd)
			}
			if i > 0 && answer != int(errno) {
				answer = -1
				break
			}
			answer = int(errno)
		}
		fmt.Println(answer)
	}
	return in.Err()
}

type asker struct {
	in  io.Writer
	out *bufio.Reader
}

func startAsker(t *testing.T, mode string) asker {
	t.Helper()
	_, in, out := startChild(t, mode)
	return asker{in, out}
}

// expect asks for files below knownDir.
func (a asker) expect(t *testing.T, what string, want unix.Errno, names ...string) {
	t.Helper()
	for _, name := range names {
		if f, err := os.Open(knownDir + name); err != nil { // outside any jail
			t.Fatal(err)
		} else {
			_ = f.Close()
		}
		got := 0
		fmt.Fprintln(a.in, knownDir+name)
		if _, err := fmt.Fscanln(a.out, &got); err != nil {
			t.Fatal(err)
		}
		if got != int(want) {
			t.Fatalf("%s: %s: %s, want %s", what, name, status(got), status(int(want)))
		}
	}
}

// mountKnown mounts a file system of the test's own at knownDir.
func mountKnown(t *testing.T) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(knownDir, 0o755), unix.Mount("none", knownDir, "tmpfs", 0, "mode=0755")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(knownDir, unix.MNT_DETACH) })
}

// TestWhatIsKnownOfADirectoryEndsWithItsPath: whoever changes what a path means, the next
// open is judged by what it means then, below a directory that was judged before.
func TestWhatIsKnownOfADirectoryEndsWithItsPath(t *testing.T) {
	k := testKernel(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mountKnown(t)
	fill := func(dirs ...string) {
		t.Helper()
		for _, d := range dirs {
			must(os.MkdirAll(knownDir+d+"/below", 0o755))
			for _, f := range []string{"/file", "/.env", "/below/file"} {
				must(os.WriteFile(knownDir+d+f, nil, 0o644))
			}
		}
	}
	fill("/open/dir", "/closed/dir", "/other/dir")
	must(k.InstallRoles(knownRoles(t, false)))
	first, both := startAsker(t, "ask"), startAsker(t, "ask both")
	rename := func(from, to string, flags uint) {
		t.Helper()
		must(unix.Renameat2(unix.AT_FDCWD, knownDir+from, unix.AT_FDCWD, knownDir+to, flags))
	}

	for range 3 { // two roles on one process, one on another, by turns
		first.expect(t, "at rest", 0, "/open/dir/file", "/open/dir/below/file", "/other/dir/file")
		both.expect(t, "at rest", 0, "/open/dir/file", "/open/dir/below/file")
		first.expect(t, "at rest", unix.EACCES, "/closed/dir/file", "/closed/dir/below/file", "/open/dir/.env")
		both.expect(t, "at rest", unix.EACCES, "/other/dir/file", "/other/dir/below/file", "/closed/dir/file")
	}
	for range 300 {
		rename("/open/dir", "/closed/moved", 0)
		first.expect(t, "moved away", unix.EACCES, "/closed/moved/file", "/closed/moved/below/file")
		both.expect(t, "moved away", unix.EACCES, "/closed/moved/file")
		rename("/closed/moved", "/open/dir", 0)
		first.expect(t, "moved back", 0, "/open/dir/below/file", "/open/dir/file")
		rename("/open/dir", "/closed/dir", unix.RENAME_EXCHANGE)
		first.expect(t, "exchanged", unix.EACCES, "/closed/dir/file", "/closed/dir/below/file")
		first.expect(t, "exchanged", 0, "/open/dir/file", "/open/dir/below/file")
		rename("/open", "/aside", 0)
		rename("/closed", "/open", 0)
		rename("/aside", "/closed", 0)
		first.expect(t, "exchanged above", 0, "/open/dir/file", "/open/dir/below/file")
		first.expect(t, "exchanged above", unix.EACCES, "/closed/dir/file", "/closed/dir/below/file")
	}
	for range 50 {
		must(os.RemoveAll(knownDir + "/open/dir"))
		fill("/closed/again")
		first.expect(t, "made elsewhere", unix.EACCES, "/closed/again/file", "/closed/again/below/file")
		must(os.RemoveAll(knownDir + "/closed/again"))
		fill("/open/dir")
		first.expect(t, "made anew", 0, "/open/dir/file", "/open/dir/below/file")
	}
	for i := range 10 {
		first.expect(t, "before the reload", 0, "/open/dir/file")
		must(k.InstallRoles(knownRoles(t, true)))
		first.expect(t, fmt.Sprint("reload ", i), unix.EACCES, "/open/dir/file", "/open/dir/below/file")
		first.expect(t, fmt.Sprint("reload ", i), 0, "/closed/dir/file")
		must(k.InstallRoles(knownRoles(t, false)))
	}
	// One file system that moves, its inodes and what is known with them.
	must(os.Mkdir(knownDir+"/open/mount", 0o755))
	must(os.Mkdir(knownDir+"/closed/mount", 0o755))
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("none", knownDir+"/open/mount", "tmpfs", 0, "mode=0755"))
	fill("/open/mount/dir")
	must(k.RefreshMounts())
	for range 10 {
		first.expect(t, "mounted", 0, "/open/mount/dir/file", "/open/mount/dir/below/file")
		must(unix.Mount(knownDir+"/open/mount", knownDir+"/closed/mount", "", unix.MS_MOVE, ""))
		must(k.RefreshMounts())
		first.expect(t, "mount moved", unix.EACCES, "/closed/mount/dir/file", "/closed/mount/dir/below/file")
		must(unix.Mount(knownDir+"/closed/mount", knownDir+"/open/mount", "", unix.MS_MOVE, ""))
		must(k.RefreshMounts())
	}
}

// TestRenamesRaceWithWhatIsKnown: while others open in a loop, and so have directories known
// at every moment, an open that begins after a rename goes by where the directory is now.
func TestRenamesRaceWithWhatIsKnown(t *testing.T) {
	k := testKernel(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mountKnown(t)
	for _, d := range []string{"/open/dir", "/closed"} {
		must(os.MkdirAll(knownDir+d, 0o755))
	}
	must(os.WriteFile(knownDir+"/open/dir/file", nil, 0o644))
	must(k.InstallRoles(knownRoles(t, false)))
	for range 2 {
		others := startAsker(t, "ask")
		go func() {
			for {
				if _, err := fmt.Fprintf(others.in, "%[1]s/open/dir/file\n%[1]s/closed/dir/file\n", knownDir); err != nil {
					return
				}
			}
		}()
		go func() { _, _ = io.Copy(io.Discard, others.out) }()
	}
	asker := startAsker(t, "ask")
	for range 3000 {
		asker.expect(t, "there", 0, "/open/dir/file")
		must(os.Rename(knownDir+"/open/dir", knownDir+"/closed/dir"))
		asker.expect(t, "gone", unix.EACCES, "/closed/dir/file")
		must(os.Rename(knownDir+"/closed/dir", knownDir+"/open/dir"))
	}
}
