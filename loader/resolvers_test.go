package loader

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jail/bpf"
)

func TestResolversAreReadAsTheLibraryReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"nameserver 192.0.2.1\nsearch x\n#nameserver 192.0.2.9\nnameserver\t2001:db8::1 # c\n": "[192.0.2.1 2001:db8::1]",
		"nameserver fe80::1%eth0": "[fe80::1]",
		"nameserver name\n;x":     "[127.0.0.1 ::1]",
		"":                        "[127.0.0.1 ::1]",
	} {
		if got := fmt.Sprint(parseResolvers(text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestResolversOfTheReferenceRoot(t *testing.T) {
	root := t.TempDir()
	if got, _, err := resolvers(root); err != nil || len(got) != 2 {
		t.Errorf("without a file: %v, %v", got, err)
	}
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	// An absolute link is followed inside the root.
	if err := os.Symlink("/run/stub", filepath.Join(root, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "run/stub"), []byte("nameserver 127.0.0.53\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, _, err := resolvers(root); err != nil || fmt.Sprint(got) != "[127.0.0.53]" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestDeniedLookUpNamesDNS(t *testing.T) {
	r := &Resolver{mounts: mountTable{{Major: 8, Minor: 1, Root: "/", Mountpoint: "/"}}}
	raw := denialOf(bpf.JailOpOP_SEND)
	raw.Device = 8<<20 | 1
	raw.Family, raw.Protocol, raw.Port = unix.AF_INET, unix.IPPROTO_UDP, 53
	copy(raw.Addr[:], []byte{192, 0, 2, 53})
	e := Event{Kind: "denial", Op: "send", Reason: "default", Protocol: "udp", Port: 53, Address: "192.0.2.53", raw: raw}
	if c := r.Change(e); !strings.Contains(c.Note, "dns = true") {
		t.Errorf("got %+v", c)
	}
	raw.Family = unix.AF_UNIX
	raw.PathLen = uint32(copy(raw.Path[:], resolverSockets[1]))
	e = Event{Kind: "denial", Op: "connect", Reason: "default", Family: "unix", Path: resolverSockets[1], raw: raw}
	if c := r.Change(e); !strings.Contains(c.Note, "dns = true") || c.Flag != "--unix "+resolverSockets[1] {
		t.Errorf("got %+v", c)
	}
	raw.PathLen = uint32(copy(raw.Path[:], "@x\x00*"))
	e.Path, e.raw = "@x\\x00*", raw
	if c := r.Change(e); !strings.Contains(strings.Join(c.TOML, " "), "unix = [") {
		t.Errorf("got %+v", c)
	}
}
