//go:build vm

package loader

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"jail/profiles"
)

// killLoad loads in a child that ends itself at that step.
func killLoad(t *testing.T, at string) {
	t.Helper()
	cmd, _, _ := startChild(t, "load", killEnv+"="+at)
	err := cmd.Wait()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != unix.SIGKILL {
		t.Errorf("%s: was not reached: %v", at, err)
	}
}

// TestLoadGoesOnFromAKillAtAnyStep: after each kill nothing calls itself whole and nobody can
// enter; each load goes on from what the one before left.
func TestLoadGoesOnFromAKillAtAnyStep(t *testing.T) {
	unload(t)
	permissive, _ := profiles.Builtins().ByName("permissive")
	for _, at := range []string{
		"flip:2", "map:9", "programs:1", "unpinned:1", "link:30", "guarded:1", "tested:1",
	} {
		killLoad(t, at)
		t.Logf("killed at %s", at)
		k, err := Open()
		switch {
		case errors.Is(err, ErrNotLoaded), errors.Is(err, ErrNotWhole):
		case err != nil:
			t.Errorf("killed at %s: %v", at, err)
		default:
			if s, err := k.Status(); err != nil || s.Whole || s.Open {
				t.Errorf("killed at %s: status %+v, %v", at, s, err)
			}
			_ = k.Close()
		}
		if err := Arm([]uint32{permissive.ID}, 0); err == nil {
			t.Errorf("killed at %s: a role can be entered", at)
		}
	}
	killLoad(t, "opened:1") // all but the event is done
	k, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	s, err := k.Status()
	if err != nil || !s.Whole {
		t.Fatalf("killed after the end: status %+v, %v", s, err)
	}
	links := attached(t)
	again := testKernel(t)
	if after := attached(t); !slices.Equal(after, links) {
		t.Errorf("a load on a whole one changed links: %v, before %v", after, links)
	}
	if err := again.selfTest(t.Context()); err != nil {
		t.Error(err)
	}
	sleeper(t)
	waitSubjects(t, k, 1)
}

// attached lists set, name and program of each pinned link.
func attached(t *testing.T) (list []string) {
	t.Helper()
	for s, ps := range mustPins(t).sets {
		for name, l := range ps.links {
			list = append(list, strings.Join([]string{s.String(), name, l.program.Tag}, " "))
		}
	}
	slices.Sort(list)
	return list
}

// TestLoadMendsLostPinsAndLetsNobodyGo: whoever is jailed stays so, also where the pin that
// everything begins with is gone.
func TestLoadMendsLostPinsAndLetsNobodyGo(t *testing.T) {
	unload(t)
	roles := append(profiles.Builtins().Roles(), reloadRoles("reload A")...)
	k, err := Load(t.Context(), Options{Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	cmd, stdin, stdout := startChild(t, "enter patiently")
	waitSubjects(t, k, 1)
	before := attached(t)
	for _, lost := range [][]string{
		{linksDir + "/*/net_bind"},
		{mapsDir + "/*/subjects", mapsDir + "/*/policies", mapsDir + "/*/pending_*"},
		{mapsDir + "/*/control_block"},
		{mapsDir + "/*/*", linksDir + "/*/ipc_*"},
		{progsDir + "/*/*", linksDir + "/*/exec_*"},
	} {
		var gone []string
		for _, pattern := range lost {
			paths, _ := filepath.Glob(pattern)
			gone = append(gone, paths...)
		}
		if len(gone) == 0 {
			t.Fatalf("%v: nothing there", lost)
		}
		for _, path := range gone {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if k, err := Open(); err == nil {
			if s, err := k.Status(); err != nil || s.Whole || len(s.Missing) == 0 {
				t.Errorf("without %v: status %+v, %v", lost, s, err)
			}
			_ = k.Close()
		} else if !errors.Is(err, ErrNotWhole) {
			t.Errorf("without %v: %v", lost, err)
		}
		mended, err := Load(t.Context(), Options{Roles: roles})
		if err != nil {
			t.Fatalf("without %v: %v", lost, err)
		}
		if s, err := mended.Status(); err != nil || !s.Whole || s.Subjects == 0 {
			t.Errorf("mended without %v: %+v, %v", lost, s, err)
		}
		_ = mended.Close()
		if after := attached(t); !slices.Equal(after, before) {
			t.Errorf("mended without %v: %v, before %v", lost, after, before)
		}
	}
	finish(t, cmd, stdin, stdout)
}

// pinnedPaths lists everything below Dir.
func pinnedPaths(t *testing.T) (list []string) {
	t.Helper()
	err := filepath.WalkDir(Dir, func(path string, _ fs.DirEntry, err error) error {
		list = append(list, path)
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return list
}

// TestLoadRefusesPinsThatAreNotOurs, and leaves everything as it is.
func TestLoadRefusesPinsThatAreNotOurs(t *testing.T) {
	k := testKernel(t)
	links, maps, programs := k.set.dir(linksDir), k.set.dir(mapsDir), k.set.dir(progsDir)
	stranger, err := ebpf.NewMap(&ebpf.MapSpec{Name: "stranger", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	pin := func(path string) {
		t.Helper()
		m, err := stranger.Clone()
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.Pin(path); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(path string) {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	own := func(path string, uid int) {
		t.Helper()
		if err := os.Lchown(path, uid, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, where string
		do, undo    func(path string)
	}{
		{"a map in the top directory", Dir + "/stranger", pin, remove},
		{"a map of another name", maps + "/stranger", pin, remove},
		{"a map for a program", programs + "/other", pin, remove},
		{"a map for a link", links + "/net_other", pin, remove},
		{"a directory for a map", maps + "/other", func(p string) { _ = os.Mkdir(p, 0o700) }, remove},
		{"a directory for a set", mapsDir + "/other", func(p string) { _ = os.Mkdir(p, 0o700) }, remove},
		{
			"another map in the place of ours", maps + "/tallies",
			func(p string) { remove(p); pin(p) },
			func(p string) {
				remove(p)
				if err := k.pinMaps(k.set); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			"a program of ours in another's place", links + "/net_bind",
			func(p string) {
				if err := os.Rename(p, links+"/held"); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(links+"/net_listen", p); err != nil {
					t.Fatal(err)
				}
			},
			func(p string) {
				if err := os.Rename(p, links+"/net_listen"); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(links+"/held", p); err != nil {
					t.Fatal(err)
				}
			},
		},
		{"a pin that is another user's", links + "/net_bind", func(p string) { own(p, 1000) }, func(p string) { own(p, 0) }},
		{"a directory that is another user's", k.set.dir(linksDir), func(p string) { own(p, 1000) }, func(p string) { own(p, 0) }},
		{"the top directory is another user's", Dir, func(p string) { own(p, 1000) }, func(p string) { own(p, 0) }},
	} {
		c.do(c.where)
		before := pinnedPaths(t)
		_, err := Load(t.Context(), Options{Roles: profiles.Builtins().Roles()})
		if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), c.where+": ") {
			t.Errorf("%s: load: %v, want ErrForeign and where", c.name, err)
		}
		if after := pinnedPaths(t); !slices.Equal(after, before) {
			t.Errorf("%s: pins changed: %v, before %v", c.name, after, before)
		}
		if s, err := k.Status(); err != nil || s.Whole || len(s.Foreign) == 0 {
			t.Errorf("%s: status %+v, %v", c.name, s, err)
		}
		c.undo(c.where)
		again, err := Load(t.Context(), Options{Roles: profiles.Builtins().Roles()})
		if err != nil {
			t.Fatalf("control: %s taken away: %v", c.name, err)
		}
		if s, err := again.Status(); err != nil || !s.Whole {
			t.Errorf("control: %s taken away: %+v, %v", c.name, s, err)
		}
		_ = again.Close()
	}
}

// TestLoadTakesOverOnlyAnEmptyDirectoryOfRoots before anything is loaded.
func TestLoadTakesOverOnlyAnEmptyDirectoryOfRoots(t *testing.T) {
	unload(t)
	load := func() error {
		k, err := Load(t.Context(), Options{Roles: profiles.Builtins().Roles()})
		if err == nil {
			err = k.Close()
		}
		return err
	}
	if err := os.Symlink("/tmp", Dir); err != nil {
		t.Fatal(err)
	}
	if err := load(); !errors.Is(err, ErrForeign) {
		t.Errorf("a symbolic link: %v", err)
	}
	if err := os.Remove(Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(Dir, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	if err := load(); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "belongs to uid 1000") {
		t.Errorf("another user's: %v", err)
	}
	if err := os.Chown(Dir, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(Dir+"/theirs", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := load(); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), Dir+"/theirs: ") {
		t.Errorf("with something in it: %v", err)
	}
	if err := os.Remove(Dir + "/theirs"); err != nil {
		t.Fatal(err)
	}
	if err := load(); err != nil {
		t.Fatalf("empty and root's: %v", err)
	}
	if st, err := os.Stat(Dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if names, _ := filepath.Glob(Dir + "/*"); len(names) != 3 {
		t.Errorf("holds %v", names)
	}
}
