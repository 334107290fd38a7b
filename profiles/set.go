package profiles

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Set is all roles that may be used: the built-in ones and those of profiles.
type Set struct {
	roles    []*Role // sorted by id
	ruleSets []*RuleSet
}

// NewSet joins profiles with the built-in roles and rule sets, and resolves what roles
// include. An id or a name that is taken and an unknown rule set are mistakes; the
// error is an ErrorList.
func NewSet(list ...*Profile) (*Set, error) {
	s := &Set{}
	for _, p := range list {
		for _, r := range p.Roles {
			s.roles = append(s.roles, r.Clone())
		}
		s.ruleSets = append(s.ruleSets, p.RuleSets...)
	}
	var errs ErrorList
	checkIdentity(s.roles, &errs)
	checkNames(s.ruleSets, &errs)
	s.ruleSets = append(slices.Clone(builtin().RuleSets), s.ruleSets...)
	for _, r := range builtin().Roles {
		s.roles = append(s.roles, r.Clone())
	}
	for _, r := range s.roles {
		s.resolve(r, &errs)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	slices.SortFunc(s.roles, func(a, b *Role) int { return cmp.Compare(a.ID, b.ID) })
	return s, nil
}

// Builtins is the set of the built-in roles alone.
func Builtins() *Set {
	s, err := NewSet()
	if err != nil {
		panic(err) // embedded files, covered by a test
	}
	return s
}

// resolve finds the rule sets that a role includes.
func (s *Set) resolve(r *Role, errs *ErrorList) {
	r.sets = nil
	for _, name := range r.Include {
		set, ok := s.RuleSet(name.Value)
		if !ok {
			known := make([]string, len(s.ruleSets))
			for i, set := range s.ruleSets {
				known[i] = set.Name
			}
			errs.add(name.Place, "include: unknown rule set %s%s", token(name.Value), nearest(name.Value, known))
			continue
		}
		r.sets = append(r.sets, set)
	}
}

// Roles lists the roles, sorted by id.
func (s *Set) Roles() []*Role { return slices.Clone(s.roles) }

// ByID finds a role by its id.
func (s *Set) ByID(id uint32) (*Role, bool) {
	at, ok := slices.BinarySearchFunc(s.roles, id, func(r *Role, id uint32) int { return cmp.Compare(r.ID, id) })
	if !ok {
		return nil, false
	}
	return s.roles[at], true
}

// ByName finds a role by its name.
func (s *Set) ByName(name string) (*Role, bool) {
	for _, r := range s.roles {
		if r.Name == name {
			return r, true
		}
	}
	return nil, false
}

// Lookup finds a role by its name, or else by its id in decimal.
func (s *Set) Lookup(key string) (*Role, bool) {
	if r, ok := s.ByName(key); ok {
		return r, true
	}
	id, err := strconv.ParseUint(key, 10, 32)
	if err != nil {
		return nil, false
	}
	return s.ByID(uint32(id))
}

// Suggest gives the name of the role that a mistyped name resembles, or "".
func (s *Set) Suggest(name string) string {
	best, distance := "", 3
	for _, r := range s.roles {
		if d := editDistance(strings.ToLower(name), strings.ToLower(r.Name)); d < distance {
			best, distance = r.Name, d
		}
	}
	return best
}

// RuleSets lists the rule sets, the built-in ones first.
func (s *Set) RuleSets() []*RuleSet { return slices.Clone(s.ruleSets) }

// RuleSet finds a rule set by its name.
func (s *Set) RuleSet(name string) (*RuleSet, bool) {
	for _, set := range s.ruleSets {
		if set.Name == name {
			return set, true
		}
	}
	return nil, false
}

// checkIdentity finds ids and names of roles that are taken, by the built-ins or by one
// another. Names that differ only in case are too easily mistaken for one another.
func checkIdentity(roles []*Role, errs *ErrorList) {
	ids, names := make(map[uint32]*Role), make(map[string]*Role)
	for _, r := range builtin().Roles {
		names[strings.ToLower(r.Name)] = r
	}
	for _, r := range roles {
		if r.ID != 0 && r.ID < FirstUserID {
			errs.add(r.KeyPlace("id"), "id %d of role %s belongs to the built-in roles: expected %d or more",
				r.ID, token(r.Name), FirstUserID)
		} else if other := ids[r.ID]; other != nil && r.ID != 0 {
			errs.add(r.KeyPlace("id"), "id %d of role %s is taken by role %s at %s",
				r.ID, token(r.Name), token(other.Name), other.KeyPlace("id"))
		} else {
			ids[r.ID] = r
		}
		folded := strings.ToLower(r.Name)
		if other := names[folded]; other != nil {
			errs.add(r.Place, "role name %s is taken by %s at %s", token(r.Name), token(other.Name), other.Place)
		} else {
			names[folded] = r
		}
	}
}

// checkNames does the same for rule sets.
func checkNames(sets []*RuleSet, errs *ErrorList) {
	names := make(map[string]*RuleSet)
	for _, s := range builtin().RuleSets {
		names[strings.ToLower(s.Name)] = s
	}
	for _, s := range sets {
		folded := strings.ToLower(s.Name)
		if other := names[folded]; other != nil {
			errs.add(s.Place, "rule set name %s is taken by %s at %s", token(s.Name), token(other.Name), other.Place)
			continue
		}
		names[folded] = s
	}
}
