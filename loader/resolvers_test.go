package loader

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
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
