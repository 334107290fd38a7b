package loader

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"jail/bpf"
)

// Status is the state of the kernel part.
type Status struct {
	Loaded   bool     `json:"loaded"`
	Current  bool     `json:"current"` // the programs are those of this jail, and no upgrade is unfinished
	Set      uint32   `json:"set"`     // number of the set of programs that acts
	Inert    []uint32 `json:"inert"`   // sets that are attached and do not act: of upgrades
	Whole    bool     `json:"whole"`   // every mandatory program is attached and the door is open
	Open     bool     `json:"open"`    // enrollment is open
	Sealed   bool     `json:"sealed"`
	Seal     string   `json:"seal"`            // no, unfinished, yes or strict
	Unclosed []string `json:"unclosed"`        // what the seal does not close
	Rooms    *Rooms   `json:"rooms,omitempty"` // for roles that come after the seal
	ABI      uint32   `json:"abi"`
	Programs []string `json:"programs"` // that are attached, of the set that acts
	Pinned   Pinned   `json:"pinned"`
	Missing  []string `json:"missing"`  // mandatory programs or maps that are not pinned
	Foreign  []string `json:"foreign"`  // where something is pinned that is not jail's, and why not
	Lacking  []string `json:"lacking"`  // optional hooks that this kernel lacks
	Roles    int      `json:"roles"`    // without ad-hoc ones
	Orphaned []string `json:"orphaned"` // roles that are no longer configured
	AdHoc    int      `json:"adhoc"`    // roles made for one run
	Subjects int      `json:"subjects"` // threads
	Ways     WaysIn   `json:"ways"`
	Denied   uint64   `json:"denied"`
	Would    uint64   `json:"would_deny"` // let pass by permissive roles
	Lost     uint64   `json:"lost"`       // events that found the buffer full
	Faults   uint64   `json:"faults"`     // denied because something could not be read or found
}

// missingMap begins what Status.Missing says of a map.
const missingMap = "map "

// Pinned counts what is pinned of all sets.
type Pinned struct {
	Maps     int `json:"maps"`
	Programs int `json:"programs"` // that are run and not attached
	Links    int `json:"links"`
}

// Status tells what is loaded, attached, pinned and missing.
func (k *Kernel) Status() (Status, error) {
	c, err := k.control()
	if err != nil {
		return Status{}, err
	}
	s := Status{Loaded: true, Open: c.Door == 1, Sealed: k.sealed > sealing, Seal: k.sealed.String(), ABI: c.Abi, Set: k.set.number}
	_, second := acts(c.Instance)
	s.Current = k.set.mine() && second == 0
	sets, err := pinnedSets()
	if err != nil {
		return s, err
	}
	for _, other := range sets {
		if other != k.set && other.number != second {
			s.Inert = append(s.Inert, other.number)
		}
	}
	if s.Programs, s.Missing, err = k.pinned(); err != nil {
		return s, err
	}
	found, err := readPins()
	if err != nil {
		return s, err
	}
	s.Pinned, s.Foreign = found.Pinned, found.Foreign
	if slices.ContainsFunc(s.Missing, func(name string) bool { return strings.HasPrefix(name, missingMap) }) {
		return s, nil // the rest could not be read
	}
	// Whoever holds the lock will tidy up, or just has.
	if unlock, err := tryLock(); err == nil {
		err = k.collect(everything)
		unlock()
		if err != nil {
			return s, err
		}
	}
	roles, err := k.Roles()
	if err != nil {
		return s, err
	}
	for _, r := range roles {
		switch {
		case r.AdHoc:
			s.AdHoc++
			continue
		case r.Orphaned:
			s.Orphaned = append(s.Orphaned, r.Name)
		}
		s.Roles++
	}
	if subjects, err := k.Subjects(); err == nil {
		s.Subjects = len(subjects)
	}
	if s.Ways, err = k.waysIn(); err != nil {
		return s, err
	}
	counts, err := k.counters()
	if err != nil {
		return s, err
	}
	s.Denied = counts[bpf.JailCounterCOUNT_DENIED]
	s.Would = counts[bpf.JailCounterCOUNT_WOULD_DENY]
	s.Lost = counts[bpf.JailCounterCOUNT_LOST]
	s.Faults = counts[bpf.JailCounterCOUNT_FAULT]
	if hooks, err := kernelHooks(); err == nil {
		for hook := range optionalHooks {
			if !hooks[hook] {
				s.Lacking = append(s.Lacking, hook)
			}
		}
		slices.Sort(s.Lacking)
	}
	if s.Unclosed, err = k.unclosed(); err != nil {
		return s, err
	}
	if s.Rooms, err = k.countRooms(); err != nil {
		return s, err
	}
	s.Whole = s.Open && len(s.Missing) == 0 && len(s.Foreign) == 0 && k.sealed != sealing
	return s, nil
}

// whole is nil when enforcement is.
func (k *Kernel) whole() error {
	_, missing, err := k.pinned()
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing pins: %s", strings.Join(missing, ", "))
	}
	c, err := k.control()
	if err != nil {
		return err
	}
	if c.Door != 1 {
		return errors.New("enrollment is closed")
	}
	return nil
}

// pinned compares the pins with what this program would pin, or, where another build's
// programs act, with what that build said.
func (k *Kernel) pinned() (programs, missing []string, err error) {
	held, want, err := k.set.links()
	if err != nil {
		return nil, nil, err
	}
	if _, err := Depth(); errors.Is(err, ErrNotLoaded) {
		missing = append(missing, "every verdict: the programs are there and the kernel does not call them; is kernel.ftrace_enabled 0?")
	}
	if !k.set.mine() {
		if len(held) < want || want == 0 {
			missing = append(missing, fmt.Sprintf("%d programs of build %s", want-len(held), k.set.build))
		}
		return held, missing, nil
	}
	spec, err := embedded()
	if err != nil {
		return nil, nil, err
	}
	other := otherVariant()
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		if name == other {
			continue
		}
		if onDemand(spec.Programs[name].Type) {
			if slices.Contains(pinnedPrograms, name) && !k.set.pins(name) {
				missing = append(missing, name)
			}
			continue
		}
		if slices.Contains(held, name) {
			programs = append(programs, name)
		} else if !optionalHooks[spec.Programs[name].AttachTo] {
			missing = append(missing, name)
		}
	}
	for name := range spec.Maps {
		if !strings.HasPrefix(name, ".") && k.maps[name] == nil {
			missing = append(missing, missingMap+name)
		}
	}
	return programs, missing, nil
}

// counters sums each counter over the CPUs, and over the sets of programs that had a map of
// their own for them.
func (k *Kernel) counters() ([bpf.JailCounterCOUNTERS]uint64, error) {
	var sums [bpf.JailCounterCOUNTERS]uint64
	sets, err := pinnedSets()
	if err != nil {
		return sums, err
	}
	seen := make(map[ebpf.MapID]bool)
	for _, s := range sets {
		m, err := ebpf.LoadPinnedMap(filepath.Join(s.dir(mapsDir), "counters"), k.openHow("counters"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return sums, fmt.Errorf("pinned map counters: %w", translate(err))
		}
		err = addCounters(m, seen, sums[:])
		_ = m.Close()
		if err != nil {
			return sums, err
		}
	}
	return sums, nil
}

func addCounters(m *ebpf.Map, seen map[ebpf.MapID]bool, sums []uint64) error {
	info, err := m.Info()
	if err != nil {
		return err
	}
	id, _ := info.ID()
	if seen[id] {
		return nil
	}
	seen[id] = true
	for i := range min(len(sums), int(m.MaxEntries())) {
		var perCPU []uint64
		if err := m.Lookup(uint32(i), &perCPU); err != nil {
			return err
		}
		for _, n := range perCPU {
			sums[i] += n
		}
	}
	return nil
}
