package loader

import "testing"

func TestAccountsAreFoundByWholeName(t *testing.T) {
	data := []byte("root:x:0:0:root:/root:/bin/sh\nbad\nnan:x:y:\nuser:x:1000:1000::/home/user:\ngroup:x:12:user,root\n")
	for name, want := range map[string]uint32{"root": 0, "user": 1000, "group": 12} {
		if id, ok := findAccount(data, name); !ok || id != want {
			t.Errorf("%s: %d %v, want %d", name, id, ok, want)
		}
	}
	for _, name := range []string{"", "roo", "nan", "bad", "use", "x"} {
		if id, ok := findAccount(data, name); ok {
			t.Errorf("%q: found as %d", name, id)
		}
	}
}
