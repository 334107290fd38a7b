package profiles

import "slices"

// A directory may be moved where nothing beneath it gains access. Paths beneath a
// directory go on from its state by '/', so the question is about two states: do they
// agree on every path, or else, does no path from the one grant what a path from the
// other does not? Both can be told from one word for each state, made here once.

// beneath gives, for each state, what the paths beneath it grant: any of them in bits
// 0-3, all of them in bits 4-7, and above that a number that two states share only
// where they grant the same beneath. flags is the access where no rule matches.
func (g *graph) beneath(flags Access) []uint32 {
	effective := make([]uint32, g.states())
	for s, word := range g.accept {
		switch {
		case s == 0: // nowhere: nothing
		case Access(word)&Matched != 0:
			effective[s] = word & uint32(Read|Write|Exec|Map)
		default:
			effective[s] = uint32(flags)
		}
	}
	var (
		kin  = (&automaton{alphabet: *g.alphabet, next: g.next, accept: effective}).partition()
		some = slices.Clone(effective) // by any path from the state on
		all  = effective               // by every path
	)
	for changed := true; changed; {
		changed = false
		// States mostly lead to those after them.
		for s := g.states() - 1; s >= 0; s-- {
			u, l := some[s], all[s]
			for _, to := range g.next[s*g.size() : (s+1)*g.size()] {
				u |= some[to]
				l &= all[to]
			}
			if u != some[s] || l != all[s] {
				some[s], all[s], changed = u, l, true
			}
		}
	}
	words := make([]uint32, g.states())
	for s := range words {
		to := *g.cell(int32(s), '/')
		words[s] = some[to] | all[to]<<4 | uint32(kin.block[to])<<8
	}
	return words
}

// MayMove tells whether a file, or a directory with all that is beneath it, may get from
// one state's name to another's without gaining access, as the kernel part decides.
func (p *Policy) MayMove(from, to uint32, tree bool) bool {
	had, _, _ := p.Accept(from)
	has, _, _ := p.Accept(to)
	switch {
	case from == 0 || to == 0:
		return false
	case from == to:
		return true
	case has&^had != 0:
		return false
	case !tree:
		return true
	}
	old, fresh := p.word(p.FileBeneathAt+4*from), p.word(p.FileBeneathAt+4*to)
	return old>>8 == fresh>>8 || fresh&^(old>>4)&uint32(Read|Write|Exec|Map) == 0
}
