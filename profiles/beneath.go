package profiles

// A directory may be moved where nothing beneath it gains access. What is beneath it
// goes on from its state by '/', so the question is about two states and each kind of
// access: does every path that is granted it from the one have it from the other, too?
// It does where both are granted it by the same paths, where the one is by none, or the
// other by all. Each state has a number for each kind that tells just that; that a part
// of the paths is granted what a larger part is, nobody finds out, and the move is
// refused.

// Numbers in the table of what is beneath.
const (
	beneathNone = 0 // no path is granted the access
	beneathAll  = 1 // every path is; others are shared by states with the same paths
)

// accessKinds are the bits that the table has numbers for, in this order.
var accessKinds = [...]Access{Read, Write, Exec, Map}

// beneath gives, for each state, the numbers of what is beneath it. flags is the access
// where no rule matches.
func (g *graph) beneath(flags Access) [][len(accessKinds)]uint16 {
	numbers := make([][len(accessKinds)]uint16, g.states())
	in := (&automaton{alphabet: *g.alphabet, next: g.next, accept: g.accept}).inverse()
	for i, kind := range accessKinds {
		granted := make([]uint32, g.states())
		for s, word := range g.accept {
			access := Access(word)
			if access&Matched == 0 && s != 0 { // 0 is nowhere: nothing
				access = flags
			}
			if access&kind != 0 {
				granted[s] = 1
			}
		}
		same := (&automaton{alphabet: *g.alphabet, next: g.next, accept: granted}).partition(in)
		fresh := uint16(beneathAll + 1)
		number := make(map[int32]uint16)
		for s := range numbers {
			to := *g.cell(int32(s), '/')
			n, known := number[same.block[to]]
			if !known {
				switch {
				case !g.stays(to, same):
					n, fresh = fresh, fresh+1
				case granted[to] != 0:
					n = beneathAll
				default:
					n = beneathNone
				}
				number[same.block[to]] = n
			}
			numbers[s][i] = n
		}
	}
	return numbers
}

// stays tells whether every byte leads from a state back into its block.
func (g *graph) stays(state int32, p *partition) bool {
	for _, to := range g.next[int(state)*g.size() : (int(state)+1)*g.size()] {
		if p.block[to] != p.block[state] {
			return false
		}
	}
	return true
}

// MayMove tells whether a file, or a directory with all that is beneath it, may get
// from one state's name to another's without gaining access, as the kernel part decides.
func (p *Policy) MayMove(from, to uint32, tree bool) bool {
	had, _, _ := p.Accept(from)
	has, _, _ := p.Accept(to)
	switch {
	case from == 0:
		return false
	case from == to:
		return true
	case has&^had != 0:
		return false
	case !tree:
		return true
	}
	for i := range uint32(len(accessKinds)) {
		old, fresh := p.half(p.FileBeneathAt+8*from+2*i), p.half(p.FileBeneathAt+8*to+2*i)
		if fresh != old && fresh != beneathNone && old != beneathAll {
			return false
		}
	}
	return true
}
