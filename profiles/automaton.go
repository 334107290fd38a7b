package profiles

import (
	"encoding/binary"
	"slices"
)

// The file rules of a role become one deterministic automaton in three steps: the
// patterns are joined into a nondeterministic one that shares common beginnings, its
// reachable sets of positions become states, and equivalent states are merged.
//
// Which rule wins at a component depends on the rules that match exactly there, or else
// on what won above. So a state is a set of positions together with the winner so far,
// and its verdict is that of the end of a component; '/' makes it the winner so far.

// Bounds on determinizing, well above what a policy may hold, so that patterns that
// multiply fail soon.
const (
	maxStates    = 65535
	maxPositions = 2 * maxStates
	maxRawStates = 2 * maxStates
	maxWork      = 8 << 20 // positions looked at or stored
)

// position is a state of the nondeterministic automaton.
type position struct {
	stays byteSet // bytes on which it is kept
	edges []edge
	skips []int32 // positions that it includes
	rules []int32 // indexes of the rules whose pattern ends here
}

type edge struct {
	set byteSet
	to  int32
}

// positions are the states of the nondeterministic automaton; 0 is the start.
type positions []position

// join makes the nondeterministic automaton of the rules' patterns; ok is false where it
// is too large. Patterns share positions along what they have in common from the start.
func join(rules []fileMatcher) (p positions, ok bool) {
	type step struct {
		from  int32
		token pathToken
	}
	p.add(byteSet{})
	known := make(map[step]int32)
	for i := range rules {
		at := int32(0)
		for _, t := range rules[i].tokens {
			to, ok := known[step{at, t}]
			if !ok {
				to = p.extend(at, t)
				known[step{at, t}] = to
			}
			at = to
		}
		p[at].rules = append(p[at].rules, int32(i))
		if len(p) > maxPositions {
			return nil, false
		}
	}
	return p, true
}

func (p *positions) add(stays byteSet) int32 {
	*p = append(*p, position{stays: stays})
	return int32(len(*p) - 1)
}

// extend adds the position after a token.
func (p *positions) extend(from int32, t pathToken) int32 {
	switch t.kind {
	case someName:
		to := p.add(inName)
		(*p)[from].skips = append((*p)[from].skips, to)
		return to
	case someBytes:
		to := p.add(anyByte)
		(*p)[from].skips = append((*p)[from].skips, to)
		return to
	case someDirs:
		// Here a component has ended and '/' comes next: either the pattern's own, or
		// one that begins some more components.
		more, to := p.add(anyByte), p.add(byteSet{})
		(*p)[from].skips = append((*p)[from].skips, to)
		(*p)[from].edges = append((*p)[from].edges, edge{slash, more})
		(*p)[more].skips = append((*p)[more].skips, to)
		return to
	}
	to := p.add(byteSet{})
	(*p)[from].edges = append((*p)[from].edges, edge{t.set, to})
	return to
}

// alphabet is the partition of bytes into classes that no pattern tells apart.
type alphabet struct {
	class [256]uint8
	first []byte // a byte of each class
}

// refine splits the classes that the set cuts.
func (a *alphabet) refine(set byteSet) {
	var (
		moved [256]int // class -> new class of its members in the set, plus 1
		inSet [256]int
		size  [256]int
	)
	for c := range 256 {
		size[a.class[c]]++
		if set.has(byte(c)) {
			inSet[a.class[c]]++
		}
	}
	for c := range 256 {
		old := a.class[c]
		if !set.has(byte(c)) || inSet[old] == size[old] {
			continue
		}
		if moved[old] == 0 {
			a.first = append(a.first, byte(c))
			moved[old] = len(a.first)
		}
		a.class[c] = uint8(moved[old] - 1)
	}
	for c := 255; c >= 0; c-- {
		a.first[a.class[c]] = byte(c)
	}
}

func (a *alphabet) size() int { return len(a.first) }

// classesOf lists the classes of a set.
func (a *alphabet) classesOf(set byteSet) []uint8 {
	var list []uint8
	for class, c := range a.first {
		if set.has(c) {
			list = append(list, uint8(class))
		}
	}
	return list
}

// automaton is deterministic: row s of next has a state for each class of bytes.
type automaton struct {
	alphabet
	next   []int32
	accept []uint32 // access | Matched | rule<<8, or 0 where the flags decide
}

// winner is what has won up to a component, as accept words.
type winner struct {
	all    uint32 // among all rules
	plain  uint32 // among all but the command line's allows
	forced bool   // a deny of the command line matched, so that plain counts
}

func (w winner) verdict() uint32 {
	if w.forced {
		return w.plain
	}
	return w.all
}

// withoutRules forgets which rules decided.
func (w winner) withoutRules() winner {
	const access = 0xff
	w.all &= access
	w.plain &= access
	return w
}

// determinizer finds the states that can be reached.
type determinizer struct {
	positions
	automaton
	rules   []fileMatcher
	precise bool // keep which rule decided beneath a match

	classes map[byteSet][]uint8 // of the sets on edges
	winners []winner
	number  map[winner]uint32
	states  map[string]int32
	sets    [][]int32 // of each state
	won     []uint32  // of each state, index into winners

	work  int
	key   []byte
	mark  []int32 // last set that a position was put into
	round int32
	set   []int32
	some  [][]int32 // of expand: reached by a class besides what all reach
	blank []int32   // an empty row
}

// determinize makes the automaton of the rules, whose patterns were joined; ok is false
// where a bound is exceeded. extra are sets of bytes to be told apart besides those of
// the patterns. With precise unset, states keep no rule beneath where it matched.
func determinize(p positions, rules []fileMatcher, extra []byteSet, precise bool) (a *automaton, ok bool) {
	d := &determinizer{
		positions: p,
		rules:     rules,
		precise:   precise,
		automaton: automaton{alphabet: alphabet{first: []byte{0}}},
		classes:   make(map[byteSet][]uint8),
		number:    make(map[winner]uint32),
		states:    make(map[string]int32),
		mark:      make([]int32, len(p)),
	}
	d.partition(extra)
	d.some = make([][]int32, d.size())
	d.blank = make([]int32, d.size())

	d.begin()
	d.include(0)
	d.state(winner{})
	for s := 0; s < len(d.sets); s++ {
		if len(d.sets) > maxRawStates || d.work > maxWork {
			return nil, false
		}
		d.expand(s)
	}
	return &d.automaton, true
}

// partition makes the classes of bytes.
func (d *determinizer) partition(extra []byteSet) {
	sets := append([]byteSet{slash}, extra...)
	for _, p := range d.positions {
		for _, e := range p.edges {
			sets = append(sets, e.set)
		}
	}
	known := make(map[byteSet]bool)
	for _, s := range sets {
		if !known[s] {
			known[s] = true
			d.refine(s)
		}
	}
	for s := range known {
		d.classes[s] = d.classesOf(s)
	}
}

// begin starts a set, include adds a position and what it includes.
func (d *determinizer) begin() {
	d.round++
	d.set = d.set[:0]
}

func (d *determinizer) include(p int32) {
	if d.mark[p] == d.round {
		return
	}
	d.mark[p] = d.round
	d.set = append(d.set, p)
	for _, to := range d.positions[p].skips {
		d.include(to)
	}
}

// state gives the number of the state of the current set and a winner.
func (d *determinizer) state(w winner) int32 {
	slices.Sort(d.set)
	d.work += len(d.set) + 1
	won, ok := d.number[w]
	if !ok {
		won = uint32(len(d.winners))
		d.number[w] = won
		d.winners = append(d.winners, w)
	}
	d.key = binary.NativeEndian.AppendUint32(d.key[:0], won)
	for _, p := range d.set {
		d.key = binary.NativeEndian.AppendUint32(d.key, uint32(p))
	}
	s, ok := d.states[string(d.key)]
	if !ok {
		s = int32(len(d.sets))
		d.states[string(d.key)] = s
		d.sets = append(d.sets, slices.Clone(d.set))
		d.won = append(d.won, won)
		d.accept = append(d.accept, 0)
		d.next = append(d.next, d.blank...)
	}
	return s
}

// expand finds where a state leads.
func (d *determinizer) expand(s int) {
	var (
		set    = d.sets[s]
		common []int32 // reached by every byte but '/'
		below  []int32 // reached by '/'
		exact  []int32 // rules that match here
	)
	for c := range d.some {
		d.some[c] = d.some[c][:0]
	}
	d.work += len(set)
	for _, at := range set {
		p := &d.positions[at]
		exact = append(exact, p.rules...)
		switch p.stays {
		case anyByte:
			common, below = append(common, at), append(below, at)
		case inName:
			common = append(common, at)
		}
		d.work += len(p.edges)
		for _, e := range p.edges {
			switch e.set {
			case slash:
				below = append(below, e.to)
			case inName:
				common = append(common, e.to)
			default:
				for _, c := range d.classes[e.set] {
					d.some[c] = append(d.some[c], e.to)
				}
			}
		}
	}
	won := d.winners[d.won[s]]
	ended := decide(d.rules, exact, won)
	d.accept[s] = ended.verdict()
	if !d.precise {
		ended = ended.withoutRules()
	}

	row := s * d.size()
	d.begin()
	d.includeAll(common)
	usual := d.state(won)
	for c := range d.size() {
		to := usual
		if c == int(d.class['/']) {
			d.begin()
			d.includeAll(below)
			to = d.state(ended)
		} else if more := d.some[c]; len(more) > 0 {
			d.begin()
			d.includeAll(common)
			d.includeAll(more)
			to = d.state(won)
		}
		d.next[row+c] = to
	}
}

func (d *determinizer) includeAll(list []int32) {
	for _, p := range list {
		d.include(p)
	}
}

// decide gives the winner at a component where the exact rules match, below another one.
func decide(rules []fileMatcher, exact []int32, above winner) winner {
	if len(exact) == 0 {
		return above
	}
	w := above
	plain := make([]int32, 0, len(exact))
	for _, i := range exact {
		r := &rules[i]
		if r.commandLine && r.access == 0 {
			w.forced = true
		}
		if !r.commandLine || r.access == 0 {
			plain = append(plain, i)
		}
	}
	w.all = best(rules, exact)
	if len(plain) > 0 {
		w.plain = best(rules, plain)
	}
	if w.forced {
		w.all = 0 // never asked again
	}
	return w
}

// best gives the accept word of the most specific of some rules. Of those that are
// equally specific each must grant an access; a deny grants none.
func best(rules []fileMatcher, among []int32) uint32 {
	among = slices.Clone(among)
	slices.Sort(among)
	top := slices.MaxFunc(among, func(i, j int32) int { return rules[i].compare(&rules[j]) })
	granted, decider := rules[top].access, top
	for _, i := range among {
		if rules[i].compare(&rules[top]) == 0 {
			granted &= rules[i].access
		}
	}
	for _, i := range among {
		if rules[i].compare(&rules[top]) == 0 && rules[i].access == granted {
			decider = i
			break
		}
	}
	return uint32(granted|Matched) | rules[decider].number<<8
}
