package loader

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"

	"jail/bpf"
	"jail/profiles"
)

// RoleChange is what InstallRoles would do to one role.
type RoleChange struct {
	Role string   `json:"role"`
	ID   uint32   `json:"id"`
	Kind string   `json:"kind"` // new, changed or orphaned
	What []string `json:"what"` // of a changed role: the facts that differ; rules that go with "- ", that come with "+ "
}

// Diff compares the roles with what is loaded, and changes nothing. What InstallRoles would
// refuse is an error here, too.
func (k *Kernel) Diff(roles []*profiles.Role) ([]RoleChange, error) {
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	if err := s.checkIdentity(roles); err != nil {
		return nil, err
	}
	list, err := compileAll(k.refer(), roles, nil)
	if err != nil {
		return nil, err
	}
	loaded, err := k.Roles()
	if err != nil {
		return nil, err
	}
	var changes []RoleChange
	for _, c := range list {
		at := slices.IndexFunc(loaded, func(r LoadedRole) bool { return r.ID == c.role.ID })
		if at < 0 {
			changes = append(changes, RoleChange{Role: c.role.Name, ID: c.role.ID, Kind: "new", What: []string{}})
			continue
		}
		what, err := k.diffPolicy(s, c)
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", c.role.Name, err)
		}
		if loaded[at].Orphaned {
			what = append(what, "is configured again")
		}
		if len(what) > 0 {
			changes = append(changes, RoleChange{Role: c.role.Name, ID: c.role.ID, Kind: "changed", What: what})
		}
	}
	for _, r := range loaded {
		configured := slices.ContainsFunc(roles, func(c *profiles.Role) bool { return c.ID == r.ID })
		if !configured && !r.AdHoc && !r.Orphaned {
			changes = append(changes, RoleChange{Role: r.Name, ID: r.ID, Kind: "orphaned", What: []string{}})
		}
	}
	return changes, nil
}

// diffPolicy lists what differs between a role's policy and the one that is loaded.
func (k *Kernel) diffPolicy(s *shared, c compiled) ([]string, error) {
	slot, err := k.slotOf(c.role.ID)
	if err != nil {
		return nil, err
	}
	held := s.policies[atomic.LoadUint32(&s.roles[slot].PolicySlot)]
	next := encodePolicy(c.role.ID, held.Slot, held.Id, c.policy)
	what := []string{}
	for _, name := range profiles.FlagNames() {
		flag, _ := profiles.FlagByName(name)
		was, is := profiles.Flags(held.Flags).Has(flag), profiles.Flags(next.Flags).Has(flag)
		if was != is {
			what = append(what, fmt.Sprintf("%s: %t -> %t", name, was, is))
		}
	}
	differs := func(name string, is bool) {
		if is {
			what = append(what, name)
		}
	}
	changed := held.Flags ^ next.Flags
	differs("mode", profiles.Flags(changed).Has(profiles.ModePermissive))
	entrants, err := k.sameEntrants(held.Id, c.policy.Entrants)
	if err != nil {
		return nil, err
	}
	differs("users or groups", profiles.Flags(changed).Has(profiles.OpenToAll) || !entrants)
	differs("families", held.Families != next.Families || held.Kinds != next.Kinds)
	differs("capabilities", held.Capabilities != next.Capabilities)
	was, err := k.readTables(held.Slot, 0, held.StartsAt)
	if err != nil {
		return nil, err
	}
	files, network := sections(held, was)
	newFiles, newNetwork := sections(next, c.policy.Tables)
	var rules []string
	if rec, err := readRecord(policyDir, held.Id); err == nil {
		rules = diffRules(rec.Rules, c.policy.Rules)
	}
	what = append(what, rules...)
	// Without a record, or where the same rules have come to mean something else.
	differs("file rules", len(rules) == 0 && !bytes.Equal(files, newFiles))
	differs("network or UNIX socket rules", len(rules) == 0 && !bytes.Equal(network, newNetwork))
	mounted, err := k.sameStarts(held, c.policy.Starts)
	if err != nil {
		return nil, err
	}
	differs("mounts", bytes.Equal(files, newFiles) && !mounted)
	return what, nil
}

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
