//go:build vm

package loader

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// treeDir holds the files that attacks try to read and to change: roles.toml has the
// rules for each directory in it.
const treeDir = "/srv/jail"

// makeTree makes the tree anew. Its owner is who runs the attack, so that nothing but
// the jail is in the way.
func makeTree(t *testing.T, as string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	unix.Umask(0)
	must(os.RemoveAll(treeDir))
	uid := map[string]int{"root": 0, "user": 1000}[as]
	own := func(name string) {
		must(os.Lchown(name, uid, uid))
	}
	must(os.MkdirAll(treeDir, 0o755))
	own(treeDir)
	for _, dir := range []string{"ro", "rw", "rwx", "hidden"} {
		dir = filepath.Join(treeDir, dir)
		for _, d := range []string{dir, dir + "/dir", dir + "/empty", dir + "/keys"} {
			must(os.Mkdir(d, 0o755))
			own(d)
		}
		for _, f := range []string{"/file", "/other", "/polled", "/dir/file", "/dir/.env", "/keys/file"} {
			must(os.WriteFile(dir+f, []byte("secret"), 0o644))
			must(unix.Setxattr(dir+f, "user.jail", []byte("x"), 0))
			own(dir + f)
		}
	}
	program, err := os.ReadFile("/bin/true")
	must(err)
	for _, dir := range []string{"ro", "rwx"} {
		must(os.WriteFile(treeDir+"/"+dir+"/true", program, 0o755))
		own(treeDir + "/" + dir + "/true")
	}
	must(os.Link(treeDir+"/rw/other", treeDir+"/hidden/linked"))
	must(os.Link(treeDir+"/rw/other", treeDir+"/rw/linked"))
}

// serveDescriptors offers open descriptors of the tree's files on two sockets.
func serveDescriptors(t *testing.T) {
	t.Helper()
	const dir = "/run/jail-test"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"hidden": "/hidden/file", "open": "/rw/file"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.AcceptUnix()
				if err != nil {
					return
				}
				if f, err := os.Open(treeDir + file); err == nil {
					_, _, _ = c.WriteMsgUnix([]byte("x"), unix.UnixRights(int(f.Fd())), nil)
					_ = f.Close()
				}
				_ = c.Close()
			}
		}()
	}
}

// keepReading has a process outside any jail read files, for those that watch it.
func keepReading(t *testing.T) {
	ticker := time.NewTicker(20 * time.Millisecond)
	t.Cleanup(ticker.Stop)
	go func() {
		for range ticker.C {
			for _, dir := range []string{"/hidden", "/rw"} {
				_, _ = os.ReadFile(treeDir + dir + "/polled")
			}
		}
	}()
}
