package profiles

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// This file has what events and explanations say about roles.

// Table writes the rule as TOML lines of its own in a role.
func (f FileRule) Table(role string) []string {
	return append([]string{"[[roles." + quoteKey(role) + ".files]]"}, f.keys()...)
}

// Table writes the rule as TOML lines of its own in a role.
func (n NetworkRule) Table(role string) []string {
	return append([]string{"[[roles." + quoteKey(role) + ".network]]"}, n.keys()...)
}

// KeyTable writes one key of a role as TOML lines.
func KeyTable(role, key string) []string {
	return []string{"[roles." + quoteKey(role) + "]", key}
}

// FlagKey is the flag's line as it stands for a role, written or not.
func (r *Role) FlagKey(name string) string {
	f, _ := FlagByName(name)
	line := fmt.Sprintf("%s = %t", name, r.Flags.Has(f))
	if !r.Written(name) {
		line += " (not written: the default)"
	}
	return line
}

// FamiliesKey is the role's `families` as it stands.
func (r *Role) FamiliesKey() string {
	var b strings.Builder
	writeTexts(&b, "families", r.Families)
	if b.Len() == 0 {
		return "families is empty"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Names lists the keys of the flags that are set.
func (f Flags) Names() []string {
	var names []string
	for _, n := range flagNames {
		if f.Has(n.flag) {
			names = append(names, n.name)
		}
	}
	return names
}

// FamilyName is the name that `families` has for an address family, or AF_n.
func FamilyName(family uint32) string {
	for name, n := range families {
		if uint32(n) == family {
			return name
		}
	}
	return fmt.Sprintf("AF_%d", family)
}

// FamilyByName is the number of an address family.
func FamilyByName(name string) (uint32, bool) {
	n, ok := families[name]
	return uint32(n), ok
}

// KindNames are the names that `families` has for bits of enum socket_kind; the last bit,
// every other protocol, has none.
func KindNames(bits uint32) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if bits&kinds[name] != 0 {
			names = append(names, name)
		}
	}
	return names
}

// KindByName is the bit of a socket kind.
func KindByName(name string) (uint32, bool) {
	k, ok := kinds[name]
	return k, ok
}
