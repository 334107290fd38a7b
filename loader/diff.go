package loader

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// RoleChange is what InstallRoles would do to one role, or InstallWays to one way into it.
type RoleChange struct {
	Role string   `json:"role"`
	ID   uint32   `json:"id"`
	Way  string   `json:"way,omitempty"` // "executable /usr/bin/x" or "control group /x.slice"; empty: the role itself
	Kind string   `json:"kind"`          // new, changed or orphaned; of a way: new, changed or gone
	What []string `json:"what"`          // of what is changed: the facts that differ; rules that go with "- ", that come with "+ "
	// Refused is, after a seal, what of this it does not let come; nil: it is taken.
	Refused []string `json:"refused,omitempty"`
}

func (c RoleChange) String() string {
	text := fmt.Sprintf("role %s: %s", c.Role, c.Kind)
	if c.Way != "" {
		text = fmt.Sprintf("%s: %s for role %s", c.Way, c.Kind, c.Role)
	}
	if len(c.What) > 0 {
		text += ": " + strings.Join(c.What, ", ")
	}
	return text
}

// Diff compares the roles with what is loaded, and changes nothing. What InstallRoles would
// refuse is an error here, too.
func (k *Kernel) Diff(roles []*profiles.Role) ([]RoleChange, error) {
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	changes, _, err := k.diff(roles)
	return changes, err
}

// diff does it under the lock, and gives the compiled roles that are new or changed, in the
// order of the changes.
func (k *Kernel) diff(roles []*profiles.Role) (changes []RoleChange, next []compiled, err error) {
	s, err := k.share()
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkIdentity(roles); err != nil {
		return nil, nil, err
	}
	list, err := compileAll(k.refer(), roles, nil)
	if err != nil {
		return nil, nil, err
	}
	loaded, err := k.Roles()
	if err != nil {
		return nil, nil, err
	}
	for _, c := range list {
		at := slices.IndexFunc(loaded, func(r LoadedRole) bool { return r.ID == c.role.ID })
		if at < 0 {
			changes = append(changes, RoleChange{Role: c.role.Name, ID: c.role.ID, Kind: "new", What: []string{}})
			next = append(next, c)
			continue
		}
		what, wider, err := k.diffPolicy(s, c)
		if err != nil {
			return nil, nil, fmt.Errorf("role %s: %w", c.role.Name, err)
		}
		if loaded[at].Orphaned {
			what, wider = append(what, "is configured again"), append(wider, "is configured again")
		}
		if k.sealed == SealNone {
			wider = nil
		}
		if len(what) > 0 {
			changes = append(changes, RoleChange{Role: c.role.Name, ID: c.role.ID, Kind: "changed", What: what, Refused: wider})
			next = append(next, c)
		}
	}
	if err := k.refuseForRoom(changes, next); err != nil {
		return nil, nil, err
	}
	for _, r := range loaded {
		configured := slices.ContainsFunc(roles, func(c *profiles.Role) bool { return c.ID == r.ID })
		if !configured && !r.AdHoc && !r.Orphaned {
			c := RoleChange{Role: r.Name, ID: r.ID, Kind: "orphaned", What: []string{}}
			if k.sealed != SealNone {
				c.Refused = []string{"is no longer configured"}
			}
			changes = append(changes, c)
		}
	}
	if k.sealed > SealRoles {
		for i, c := range changes {
			if c.Refused == nil {
				changes[i].Refused = []string{"any change"}
			}
		}
	}
	return changes, next, nil
}

// diffPolicy lists what differs between a role's policy and the one that is loaded; and what
// of it is not known to take away and give nothing.
func (k *Kernel) diffPolicy(s *shared, c compiled) (what, wider []string, err error) {
	slot, err := k.slotOf(c.role.ID)
	if err != nil {
		return nil, nil, err
	}
	held := s.policies[atomic.LoadUint32(&s.roles[slot].PolicySlot)]
	next := encodePolicy(c.role.ID, held.Slot, held.Id, c.policy)
	what = []string{}
	for _, name := range profiles.FlagNames() {
		flag, _ := profiles.FlagByName(name)
		was, is := profiles.Flags(held.Flags).Has(flag), profiles.Flags(next.Flags).Has(flag)
		if was != is {
			fact := fmt.Sprintf("%s: %t -> %t", name, was, is)
			what = append(what, fact)
			if is != profiles.Flags(restrictions).Has(flag) {
				wider = append(wider, fact)
			}
		}
	}
	differs := func(name string, is, more bool) {
		if is {
			what = append(what, name)
			if more {
				wider = append(wider, name)
			}
		}
	}
	changed, gained := profiles.Flags(held.Flags^next.Flags), profiles.Flags(next.Flags&^held.Flags)
	differs("mode", changed.Has(profiles.ModePermissive), gained.Has(profiles.ModePermissive))
	entrants, err := k.sameEntrants(held.Id, c.policy.Entrants)
	if err != nil {
		return nil, nil, err
	}
	differs("users or groups", changed.Has(profiles.OpenToAll) || !entrants, gained.Has(profiles.OpenToAll) || !entrants)
	differs("families", held.Families != next.Families || held.Kinds != next.Kinds, next.Families&^held.Families|uint64(next.Kinds&^held.Kinds) != 0)
	differs("capabilities", held.Capabilities != next.Capabilities, next.Capabilities&^held.Capabilities != 0)
	was, err := k.readTables(held.Slot, 0, held.StartsAt)
	if err != nil {
		return nil, nil, err
	}
	files, network := sections(held, was)
	newFiles, newNetwork := sections(next, c.policy.Tables)
	var rules []string
	if rec, err := readRecord(policyDir, held.Id); err == nil {
		rules = diffRules(rec.Rules, c.policy.Rules)
	}
	what, wider = append(what, rules...), append(wider, rules...)
	// Without a record, or where the same rules have come to mean something else.
	differs("file rules", len(rules) == 0 && !bytes.Equal(files, newFiles), true)
	differs("network or UNIX socket rules", len(rules) == 0 && !bytes.Equal(network, newNetwork), true)
	if k.sealed != SealNone {
		return what, wider, nil // loaded roles know the file systems that they were sealed with
	}
	mounted, err := k.sameStarts(held, c.policy.Starts)
	if err != nil {
		return nil, nil, err
	}
	differs("mounts", bytes.Equal(files, newFiles) && !mounted, true)
	return what, wider, nil
}

// restrictions are the flags of a policy that take away.
const restrictions = uint32(bpf.JailRoleFlagREQUIRE_SIGNATURE)

// diffRules lists the rules that are in one list only. Their order means nothing.
func diffRules(was, is []profiles.Rule) []string {
	var lines []string
	only := func(sign string, list, other []profiles.Rule) {
		for _, r := range list {
			same := func(o profiles.Rule) bool { return o.Kind == r.Kind && o.Text == r.Text }
			if r.Text != "" && !slices.ContainsFunc(other, same) && !slices.Contains(lines, sign+r.Text) {
				lines = append(lines, sign+r.Text)
			}
		}
	}
	only("- ", was, is)
	only("+ ", is, was)
	return lines
}

// sameEntrants tells whether these and no others may enter by a policy.
func (k *Kernel) sameEntrants(policy uint64, list []profiles.Entrant) (bool, error) {
	entrants, err := k.table("entrants")
	if err != nil {
		return false, err
	}
	want := make(map[bpf.JailEntrant]bool)
	for _, e := range list {
		want[bpf.JailEntrant{PolicyId: policy, Kind: uint32(e.Kind), Id: e.ID}] = true
	}
	var (
		key   bpf.JailEntrant
		value uint32
		held  int
	)
	it := entrants.Iterate()
	for it.Next(&key, &value) {
		if key.PolicyId == policy {
			if held++; !want[key] {
				return false, nil
			}
		}
	}
	if err := it.Err(); err != nil {
		return false, fmt.Errorf("entrants: %w", err)
	}
	return held == len(want), nil
}

// sections cuts tables into those of the file rules, which come first, and the rest.
func sections(p bpf.JailPolicy, tables []byte) (files, network []byte) {
	end := uint32(len(tables))
	if p.FileStates == 0 {
		end = 0
	} else {
		for _, s := range [][2]uint32{{p.NetNodeLen, p.NetV4At}, {p.UnixStates, p.UnixClassAt}, {p.NameStates, p.NameClassAt}} {
			if s[0] != 0 {
				end = min(end, s[1])
			}
		}
	}
	return tables[:end], tables[end:]
}

// sameStarts tells whether a policy has these start states and no others.
func (k *Kernel) sameStarts(p bpf.JailPolicy, list []profiles.Start) (bool, error) {
	if int(p.StartsLen) != len(list) {
		return false, nil
	}
	starts, err := k.table("starts")
	if err != nil {
		return false, err
	}
	for _, s := range list {
		var state uint32
		key := startKey(p.Id, s)
		if err := starts.Lookup(key, &state); err != nil || state != s.State {
			return false, nil
		}
	}
	return true, nil
}

// DiffWays compares the ways in with what is loaded, and changes nothing. A mark that came
// after a seal counts by its file alone: that is no difference.
func (k *Kernel) DiffWays(w Ways) ([]RoleChange, error) {
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return k.diffWays(w)
}

// diffWays does it under the lock.
func (k *Kernel) diffWays(w Ways) ([]RoleChange, error) {
	names, err := k.roleNames()
	if err != nil {
		return nil, err
	}
	paths, err := k.diffPaths(w, names)
	if err != nil {
		return nil, err
	}
	groups, err := k.heldCgroups()
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]Entrance)
	for _, c := range w.Cgroups {
		wanted[c.Path] = c.Entrance
	}
	held := make(map[string]Entrance)
	for key, e := range groups {
		path := unix.ByteSliceToString(key.Path[:])
		// What was asked for one by one stays, whatever the configuration says.
		if _, listed := wanted[path]; listed || e.Flags&uint32(bpf.JailEntranceFlagENTRANCE_ASKED) == 0 {
			held[path] = Entrance{Role: e.Role, Pod: e.Pod}
		}
	}
	changes := append(paths, compareWays("control group ", held, wanted, names)...)
	if k.sealed != SealNone {
		for i := range changes {
			changes[i].Refused = []string{"any change of the ways in"}
		}
	}
	return changes, nil
}

// diffPaths compares the paths of executables. They are in the kernel as one automaton: its
// record has the names, and the automaton itself is compared where the names are the same.
func (k *Kernel) diffPaths(w Ways, names map[uint32]string) ([]RoleChange, error) {
	p, err := k.pathsPolicy()
	if err != nil {
		return nil, err
	}
	order, held, err := k.heldPaths(p)
	if err != nil {
		return nil, err
	}
	var list []PathEntrance
	for _, m := range w.Marked {
		if _, listed := held[profiles.QuotePattern(m.Path)]; listed || k.sealed == SealNone || !k.holdsFile(m) {
			list = append(list, m)
		}
	}
	list = append(list, w.Execs...)
	wanted := make(map[string]Entrance)
	for _, e := range list {
		wanted[profiles.QuotePattern(e.Path)] = e.Entrance
	}
	changes := compareWays("executable ", held, wanted, names)
	if len(changes) > 0 || (p.Id == 0 && len(list) == 0) {
		return changes, nil
	}
	// The same names: in the order in which they were loaded they give the same automaton.
	slices.SortStableFunc(list, func(a, b PathEntrance) int {
		return slices.Index(order, profiles.QuotePattern(a.Path)) - slices.Index(order, profiles.QuotePattern(b.Path))
	})
	next, err := k.compilePaths(list)
	if err != nil {
		return nil, err
	}
	was, err := k.readTables(p.Slot, 0, p.StartsAt)
	if err != nil || bytes.Equal(was, next[0].policy.Tables) {
		return nil, err
	}
	return []RoleChange{{Way: "executables", Kind: "changed", What: []string{"the loaded table is another"}}}, nil
}

// pathsPolicy is the policy that the paths of executables are in; its Id is 0: none.
func (k *Kernel) pathsPolicy() (p bpf.JailPolicy, err error) {
	w, err := k.ways()
	if err != nil || w.Paths == 0 {
		return p, err
	}
	s, err := k.share()
	if err != nil {
		return p, err
	}
	return s.policies[w.Paths], nil
}

// heldPaths are the paths that are loaded, as patterns in their order, and what each leads
// into. Without the record of their policy there are none.
func (k *Kernel) heldPaths(p bpf.JailPolicy) (order []string, held map[string]Entrance, err error) {
	held = make(map[string]Entrance)
	if p.Id == 0 {
		return nil, held, nil
	}
	rec, err := readRecord(policyDir, p.Id)
	if err != nil {
		return nil, held, nil
	}
	entries, err := k.table("executable_paths")
	if err != nil {
		return nil, nil, err
	}
	for i, path := range rec.Paths {
		var e bpf.JailEntrance
		key := bpf.JailPathKey{Policy: p.Id, Rule: uint32(i + 1)}
		if err := entries.Lookup(key, &e); err != nil {
			return nil, nil, fmt.Errorf("table of executables: %s: %w", path, err)
		}
		order = append(order, string(path))
		held[string(path)] = Entrance{Role: e.Role, Pod: e.Pod}
	}
	return order, held, nil
}

// holdsFile tells whether the file at that path, by its inode, leads where the mark says.
func (k *Kernel) holdsFile(m PathEntrance) bool {
	f, err := os.OpenFile(m.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	has, err := k.HasExecutable(f, m.Entrance)
	return err == nil && has
}

// heldCgroups are the control groups that are listed.
func (k *Kernel) heldCgroups() (map[bpf.JailCgroupKey]bpf.JailEntrance, error) {
	m, err := k.table("cgroups")
	if err != nil {
		return nil, err
	}
	var (
		key bpf.JailCgroupKey
		e   bpf.JailEntrance
	)
	held := make(map[bpf.JailCgroupKey]bpf.JailEntrance)
	it := m.Iterate()
	for it.Next(&key, &e) {
		held[key] = e
	}
	return held, it.Err()
}

// compareWays lists what differs between two tables, by name.
func compareWays(what string, held, wanted map[string]Entrance, names map[uint32]string) (changes []RoleChange) {
	for _, path := range slices.Sorted(maps.Keys(wanted)) {
		now := wanted[path]
		was, listed := held[path]
		switch {
		case !listed:
			changes = append(changes, RoleChange{Role: names[now.Role], ID: now.Role, Way: what + path, Kind: "new", What: []string{}})
		case was != now:
			c := RoleChange{Role: names[now.Role], ID: now.Role, Way: what + path, Kind: "changed"}
			if was.Role != now.Role {
				c.What = append(c.What, fmt.Sprintf("role: %s -> %s", names[was.Role], names[now.Role]))
			}
			if was.Pod != now.Pod {
				c.What = append(c.What, fmt.Sprintf("pod: %d -> %d", was.Pod, now.Pod))
			}
			changes = append(changes, c)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(held)) {
		if _, listed := wanted[path]; !listed {
			was := held[path]
			changes = append(changes, RoleChange{Role: names[was.Role], ID: was.Role, Way: what + path, Kind: "gone", What: []string{}})
		}
	}
	return changes
}
