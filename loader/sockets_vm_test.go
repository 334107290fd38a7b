//go:build vm

package loader

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// outsideSockets makes what attacks on the network meet: UNIX sockets of each kind, and
// a server that gives away TCP sockets. They live as long as the test binary.
func outsideSockets(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"/run/jail-test", "/run/bpfjailer", "/run/systemd/resolve"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// As udev makes it.
	_ = os.MkdirAll("/dev/net", 0o755)
	if err := unix.Mknod("/dev/net/tun", unix.S_IFCHR|0o666, int(unix.Mkdev(10, 200))); err != nil && !errors.Is(err, unix.EEXIST) {
		t.Fatal(err)
	}
	if err := os.Chmod("/dev/net/tun", 0o666); err != nil {
		t.Fatal(err)
	}
	_ = os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0)
	for name, kind := range map[string]string{
		"/run/jail-test/out": "unix", "/run/jail-test/ok": "unix", "@jail-out": "unix", "@jail-ok-1": "unix",
		"@jail-exact": "unix", "@jail-exact/more": "unix",
		"/run/bpfjailer/enrollment.sock":          "unix",
		"/run/systemd/resolve/io.systemd.Resolve": "unix",
		"/run/jail-test/out-packet":               "unixpacket", "/run/jail-test/ok-packet": "unixpacket",
		"/run/jail-test/out-dgram": "unixgram", "/run/jail-test/ok-dgram": "unixgram",
		"@jail-out-dgram": "unixgram", "@jail-ok-dgram": "unixgram",
	} {
		_ = os.Remove(name)
		addr := &net.UnixAddr{Name: name, Net: kind}
		if kind == "unixgram" {
			c, err := net.ListenUnixgram(kind, addr)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for buf := make([]byte, 16); ; {
					if _, err := c.Read(buf); err != nil {
						return
					}
				}
			}()
		} else {
			l, err := net.ListenUnix(kind, addr)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_ = c.Close()
				}
			}()
		}
		if name[0] == '/' {
			if err := os.Chmod(name, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = os.Remove("/run/jail-test/ok-link")
	if err := os.Symlink("out", "/run/jail-test/ok-link"); err != nil {
		t.Fatal(err)
	}
	giveSockets(t, "/run/jail-test/ok-giver")
}

// giveSockets serves TCP sockets: on "a" one that is connected to port 8080 of this
// machine, on "d" one to port 9999.
func giveSockets(t *testing.T, name string) {
	t.Helper()
	ports := map[byte]string{'a': "127.0.0.1:8080", 'd': "127.0.0.1:9999"}
	sockets := make(map[byte]*os.File)
	for letter, addr := range ports {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if sockets[letter], err = c.(*net.TCPConn).File(); err != nil {
			t.Fatal(err)
		}
		// Other rows must find the ports free.
		_ = l.Close()
	}
	_ = os.Remove(name)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Clean(name), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			letter := make([]byte, 1)
			if _, err := c.Read(letter); err == nil && sockets[letter[0]] != nil {
				_, _, _ = c.WriteMsgUnix(letter, unix.UnixRights(int(sockets[letter[0]].Fd())), nil)
			}
			_ = c.Close()
		}
	}()
}
