package profiles

import (
	"encoding/binary"
	"net/netip"
	"sort"
)

// This file reads the compiled tables as the kernel part does.

// Walk gives the automaton's state after a path that is fed from the given state: from
// Root a canonical path, from the State of a Start the path inside that filesystem. The
// root directory is "" or "/".
func (p *Policy) Walk(state uint32, path string) uint32 {
	if path == "/" {
		return state
	}
	return p.walk(state, path)
}

func (p *Policy) walk(state uint32, path string) uint32 {
	for i := range len(path) {
		class := uint32(p.Tables[p.FileClassAt+uint32(path[i])])
		at := p.FileNextAt + 2*(state*p.FileClasses+class)
		state = uint32(binary.LittleEndian.Uint16(p.Tables[at:]))
	}
	return state
}

// Accept gives the verdict of a state. The rule is 0 where the flags decide, in state 0,
// and where the automaton does not keep which rule it was; matched tells whether a rule
// decided.
func (p *Policy) Accept(state uint32) (access Access, rule uint32, matched bool) {
	word := p.word(p.FileAcceptAt + 4*state)
	switch {
	case state == 0:
		return 0, 0, false
	case Access(word)&Matched == 0:
		return p.defaultAccess(), 0, false
	}
	return Access(word) &^ (Matched | Settled), word >> 8, true
}

// EvalPath gives the access to a canonical path, as Match does, from the tables.
func (p *Policy) EvalPath(path string) (access Access, rule uint32, matched bool) {
	if p.FileStates == 0 {
		return p.defaultAccess(), 0, false
	}
	return p.Accept(p.Walk(p.Root, path))
}

// EvalNetwork gives the verdict about a port, as Verdict does, from the tables.
func (p *Policy) EvalNetwork(protocol Protocol, direction Direction, addr netip.Addr, port uint16) (bool, uint32) {
	if p.NetNodeLen == 0 {
		return Flags(p.Flags).Has(AllowNetwork), 0
	}
	list := uint32(0)
	for i, l := range portLists {
		if l.protocol == protocol && l.direction == direction {
			list = uint32(i)
		}
	}
	for node := p.nodeOf(addr.Unmap()); ; {
		head := p.NetNodeAt + node*nodeBytes
		at, n := p.word(head+4*list), p.word(head+16+4*list)
		if n > 0 {
			i := sort.Search(int(n), func(i int) bool {
				return binary.LittleEndian.Uint16(p.Tables[at+uint32(i)*portRangeBytes:]) > port
			})
			entry := at + uint32(i-1)*portRangeBytes
			if verdict := binary.LittleEndian.Uint16(p.Tables[entry+2:]); verdict != portNone {
				return verdict == portAllow, p.word(entry + 4)
			}
		}
		parent := p.word(head + 32)
		if parent == node {
			return Flags(p.Flags).Has(AllowNetwork), 0
		}
		node = parent
	}
}

// nodeOf gives the node of the innermost prefix around an address.
func (p *Policy) nodeOf(addr netip.Addr) uint32 {
	if addr.Is4() {
		bytes := addr.As4()
		want := binary.BigEndian.Uint32(bytes[:])
		i := sort.Search(int(p.NetV4Len), func(i int) bool { return p.word(p.NetV4At+uint32(i)*range4Bytes) > want })
		return p.word(p.NetV4At + uint32(i-1)*range4Bytes + 4)
	}
	want := addr.As16()
	i := sort.Search(int(p.NetV6Len), func(i int) bool {
		for w := range uint32(4) {
			have, want := p.word(p.NetV6At+uint32(i)*range6Bytes+4*w), binary.BigEndian.Uint32(want[4*w:])
			if have != want {
				return have > want
			}
		}
		return false
	})
	return p.word(p.NetV6At + uint32(i-1)*range6Bytes + 16)
}

func (p *Policy) half(at uint32) uint16 { return binary.LittleEndian.Uint16(p.Tables[at:]) }
func (p *Policy) word(at uint32) uint32 { return binary.LittleEndian.Uint32(p.Tables[at:]) }
