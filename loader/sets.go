package loader

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"jail/bpf"
)

// set is one set of programs: what one build attached. Each has directories of its own for
// its maps, most of which are the same maps as those of the set before, its programs and
// its links.
type set struct {
	number uint32 // `instance` in its programs; counts up with each upgrade
	build  string // [bpf.Build]
}

// firstSet is what a load makes.
func firstSet() set { return set{number: 1, build: bpf.Build()} }

func (s set) String() string { return fmt.Sprintf("%d-%s", s.number, s.build) }

// dir is the set's directory in one of the three.
func (s set) dir(of string) string { return filepath.Join(of, s.String()) }

// mine tells whether this program carries the set.
func (s set) mine() bool { return s.build == bpf.Build() }

// wholePrefix begins the name of the directory, beside the set's programs, that says how
// many links it has; made when all of them are pinned.
const wholePrefix = "whole-"

// links lists what the set has pinned of its links, and how many it should; 0: that was
// never said, so they never were whole.
func (s set) links() (names []string, want int, err error) {
	for _, of := range []string{linksDir, progsDir} {
		entries, err := os.ReadDir(s.dir(of))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, 0, err
		}
		for _, e := range entries {
			if number, ok := strings.CutPrefix(e.Name(), wholePrefix); ok {
				want, _ = strconv.Atoi(number)
			} else if of == linksDir {
				names = append(names, e.Name())
			}
		}
	}
	return names, want, nil
}

// markWhole notes that all links are pinned.
func (s set) markWhole(links int) error {
	err := os.Mkdir(filepath.Join(s.dir(progsDir), wholePrefix+strconv.Itoa(links)), 0o700)
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	return err
}

// makeDirs makes the set's directories.
func (s set) makeDirs() error {
	for _, d := range []string{Dir, mapsDir, progsDir, linksDir, s.dir(mapsDir), s.dir(progsDir), s.dir(linksDir)} {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// pinnedSets lists the sets that have anything pinned, the oldest first. [ErrNotLoaded]
// where there is none.
func pinnedSets() ([]set, error) {
	entries, err := os.ReadDir(mapsDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var list []set
	for _, e := range entries {
		if s, ok := parseSet(e.Name()); ok {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b set) int { return cmp.Compare(a.number, b.number) })
	if len(list) == 0 {
		return nil, notLoaded()
	}
	return list, nil
}

// parseSet is the set with that directory.
func parseSet(name string) (s set, ok bool) {
	number, build, _ := strings.Cut(name, "-")
	n, err := strconv.ParseUint(number, 10, 16)
	s = set{uint32(n), build}
	return s, err == nil && n != 0 && build != "" && s.String() == name
}

// notLoaded is the error where the control block is not pinned: programs may be attached
// all the same.
func notLoaded() error {
	if links, _ := filepath.Glob(linksDir + "/*/*"); len(links) > 0 {
		return fmt.Errorf("%s: programs are attached, and the map control_block is not pinned: %w", Dir, ErrNotWhole)
	}
	return ErrNotLoaded
}

// pins tells whether the set has pinned a program of that name.
func (s set) pins(program string) bool {
	_, err := os.Lstat(filepath.Join(s.dir(progsDir), program))
	return err == nil
}

// findSet is the set of that number.
func findSet(list []set, number uint32) (set, error) {
	i := slices.IndexFunc(list, func(s set) bool { return s.number == number })
	if i < 0 {
		return set{}, fmt.Errorf("the programs that act, set %d, are not pinned below %s", number, Dir)
	}
	return list[i], nil
}

// acts splits the word that says which sets act: the second is 0 but during an upgrade.
func acts(word uint32) (first, second uint32) {
	return word & uint32(bpf.JailAbiINSTANCE_MASK), word >> uint32(bpf.JailAbiINSTANCE_SHIFT)
}

// program opens a pinned program of the set that acts.
func (k *Kernel) program(name string) (*ebpf.Program, error) {
	prog, err := ebpf.LoadPinnedProgram(filepath.Join(k.set.dir(progsDir), name), nil)
	if err != nil {
		return nil, fmt.Errorf("pinned program %s: %w", name, translate(err))
	}
	return prog, nil
}

// kept is program, for one that is run often: it stays open in *held.
func (k *Kernel) kept(held **ebpf.Program, name string) (*ebpf.Program, error) {
	var err error
	if *held == nil {
		*held, err = k.program(name)
	}
	return *held, err
}

// dropPrograms closes those that were kept open.
func (k *Kernel) dropPrograms() {
	for _, held := range []**ebpf.Program{&k.identify, &k.stampEnd, &k.admit} {
		if *held != nil {
			_ = (*held).Close()
			*held = nil
		}
	}
}

// open opens what is pinned of the set that acts, whatever its version.
func open() (*Kernel, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%s: %w", Dir, ErrNotRoot)
	}
	sets, err := pinnedSets()
	if err != nil {
		return nil, err
	}
	k := &Kernel{maps: make(map[string]*ebpf.Map)}
	for _, s := range sets { // the block is the same one in all
		path := filepath.Join(s.dir(mapsDir), "control_block")
		m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true})
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("pinned map control_block: %w", translate(err))
		}
		k.maps["control_block"] = m
		break
	}
	if k.maps["control_block"] == nil {
		return nil, notLoaded()
	}
	c, err := k.control()
	if err == nil {
		first, _ := acts(c.Instance)
		k.set, err = findSet(sets, first)
		k.sealed = Seal(c.Sealed)
		_ = k.maps["control_block"].Close()
		delete(k.maps, "control_block")
	}
	if err == nil {
		err = k.openMaps(k.set)
	}
	if err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

// openHow is how a pinned map may be opened.
func (k *Kernel) openHow(name string) *ebpf.LoadPinOptions {
	if k.sealed == SealNone || slices.Contains(sealWritable, name) {
		return nil
	}
	return &ebpf.LoadPinOptions{ReadOnly: true}
}

// openMaps opens what the set has pinned of its maps and is not open yet.
func (k *Kernel) openMaps(s set) error {
	entries, err := os.ReadDir(s.dir(mapsDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if k.maps[e.Name()] != nil {
			continue
		}
		m, err := ebpf.LoadPinnedMap(filepath.Join(s.dir(mapsDir), e.Name()), k.openHow(e.Name()))
		if err != nil {
			return fmt.Errorf("pinned map %s: %w", e.Name(), translate(err))
		}
		k.maps[e.Name()] = m
	}
	return nil
}

// pinMaps pins the maps that the set has not pinned yet.
func (k *Kernel) pinMaps(s set) error {
	for name, m := range k.maps {
		path := filepath.Join(s.dir(mapsDir), name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		own, err := m.Clone() // pinning what is pinned already would move it
		if err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
		err = own.Pin(path)
		_ = own.Close()
		if err != nil {
			return fmt.Errorf("pin map %s: %w", name, translate(err))
		}
		step("map")
	}
	return nil
}

// pinPrograms pins those that later processes run.
func pinPrograms(s set, programs map[string]*ebpf.Program) error {
	for _, name := range pinnedPrograms {
		path := filepath.Join(s.dir(progsDir), name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if err := programs[name].Pin(path); err != nil {
			return fmt.Errorf("pin program %s: %w", name, translate(err))
		}
	}
	return nil
}
