package profiles

// minimize merges the states that no path tells apart, and numbers them in the order in
// which a breadth-first walk from the start meets them.
func (a *automaton) minimize() *automaton {
	n, k := len(a.accept), a.size()
	p := a.partition(a.inverse())

	// Number the blocks.
	number := make([]int32, p.blocks())
	for i := range number {
		number[i] = -1
	}
	m := &automaton{
		alphabet: a.alphabet,
		next:     make([]int32, 0, p.blocks()*k),
		accept:   make([]uint32, 0, p.blocks()),
	}
	order := make([]int32, 0, p.blocks())
	meet := func(state int32) int32 {
		b := p.block[state]
		if number[b] < 0 {
			number[b] = int32(len(order))
			order = append(order, state)
		}
		return number[b]
	}
	if n > 0 {
		meet(0)
	}
	for i := 0; i < len(order); i++ {
		state := order[i]
		m.accept = append(m.accept, a.accept[state])
		for c := range k {
			m.next = append(m.next, meet(a.next[int(state)*k+c]))
		}
	}
	return m
}

// partition puts the states that no path tells apart into one block: Hopcroft's
// algorithm, which goes on with the lighter half of a block that was split. Weight is the
// number of ways in, not of states: most ways lead to a few states, which are then
// never gone through.
func (a *automaton) partition(in *inverse) *partition {
	p := newPartition(a.accept, in)
	heaviest := p.heaviest()
	var (
		todo   []int32 // blocks that may split others
		queued = make([]bool, p.blocks(), len(a.accept))
		enter  = func(b int32) {
			queued[b] = true
			todo = append(todo, b)
		}
	)
	for b := range int32(p.blocks()) {
		if b != heaviest {
			enter(b)
		}
	}
	var members, touched []int32
	for len(todo) > 0 {
		b := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		queued[b] = false
		members = append(members[:0], p.members(b)...) // the block itself may be split meanwhile
		for class := range a.size() {
			touched = touched[:0]
			for _, state := range members {
				for _, from := range in.from(state, class) {
					if b, first := p.touch(from); first {
						touched = append(touched, b)
					}
				}
			}
			for _, b := range touched {
				fresh, ok := p.split(b, in)
				if !ok {
					continue
				}
				queued = append(queued, false)
				if queued[b] || p.weight[fresh] <= p.weight[b] {
					enter(fresh)
				} else {
					enter(b)
				}
			}
		}
	}
	return p
}

// inverse lists, for each state and class, the states that lead there.
type inverse struct {
	classes int
	start   []int32
	states  []int32
}

func (a *automaton) inverse() *inverse {
	k := a.size()
	in := &inverse{classes: k, start: make([]int32, len(a.next)+1), states: make([]int32, len(a.next))}
	for i, to := range a.next {
		in.start[int(to)*k+i%k+1]++
	}
	for i := range a.next {
		in.start[i+1] += in.start[i]
	}
	fill := append([]int32(nil), in.start...)
	for i, to := range a.next {
		slot := int(to)*k + i%k
		in.states[fill[slot]] = int32(i / k)
		fill[slot]++
	}
	return in
}

func (in *inverse) from(state int32, class int) []int32 {
	slot := int(state)*in.classes + class
	return in.states[in.start[slot]:in.start[slot+1]]
}

// ways is the number of ways into a state.
func (in *inverse) ways(state int32) int {
	at := int(state) * in.classes
	return int(in.start[at+in.classes] - in.start[at])
}

// partition is a set of blocks of states. A block's states are a range of order, those
// that were touched since its last split first.
type partition struct {
	order  []int32
	index  []int32 // state -> where it is in order
	block  []int32 // state -> block
	first  []int32 // block -> range
	end    []int32
	middle []int32 // block -> end of its touched states
	weight []int   // block -> ways into its states
}

// newPartition puts the states with equal accept words into one block.
func newPartition(accept []uint32, in *inverse) *partition {
	n := len(accept)
	p := &partition{order: make([]int32, n), index: make([]int32, n), block: make([]int32, n)}
	blocks := make(map[uint32]int32)
	var sizes []int32
	for s, word := range accept {
		b, ok := blocks[word]
		if !ok {
			b = int32(len(sizes))
			blocks[word] = b
			sizes = append(sizes, 0)
		}
		p.block[s] = b
		sizes[b]++
	}
	p.weight = make([]int, len(sizes))
	at := int32(0)
	for _, size := range sizes {
		p.first = append(p.first, at)
		p.end = append(p.end, at)
		p.middle = append(p.middle, at)
		at += size
	}
	for s, b := range p.block {
		p.order[p.end[b]], p.index[s] = int32(s), p.end[b]
		p.end[b]++
		p.weight[b] += in.ways(int32(s))
	}
	return p
}

func (p *partition) blocks() int             { return len(p.first) }
func (p *partition) members(b int32) []int32 { return p.order[p.first[b]:p.end[b]] }

// heaviest gives the block with the most ways in.
func (p *partition) heaviest() int32 {
	top := int32(0)
	for b, weight := range p.weight {
		if weight > p.weight[top] {
			top = int32(b)
		}
	}
	return top
}

// touch moves a state to the front of its block; first tells that it is the first one
// since the last split.
func (p *partition) touch(state int32) (b int32, first bool) {
	b = p.block[state]
	at, middle := p.index[state], p.middle[b]
	if at < middle {
		return b, false
	}
	other := p.order[middle]
	p.order[at], p.order[middle] = other, state
	p.index[other], p.index[state] = at, middle
	p.middle[b]++
	return b, middle == p.first[b]
}

// split makes the touched states of a block a block of their own, unless they are all.
func (p *partition) split(b int32, in *inverse) (fresh int32, ok bool) {
	first, middle := p.first[b], p.middle[b]
	p.middle[b] = first
	if middle == p.end[b] {
		return 0, false
	}
	fresh = int32(p.blocks())
	p.first = append(p.first, first)
	p.end = append(p.end, middle)
	p.middle = append(p.middle, first)
	p.first[b], p.middle[b] = middle, middle
	weight := 0
	for _, s := range p.order[first:middle] {
		p.block[s] = fresh
		weight += in.ways(s)
	}
	p.weight = append(p.weight, weight)
	p.weight[b] -= weight
	return fresh, true
}
