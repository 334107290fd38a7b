package profiles

import (
	"cmp"
	"net/netip"
	"strings"
)

// Match gives the access to a canonical path and the number of the rule that decided,
// straight from the definition of precedence; 0 where no rule matches and the flags
// decide. It is slow and obvious: the automaton must agree with it.
func (p *Policy) Match(path string) (Access, uint32) {
	type match struct {
		*fileMatcher
		depth int
	}
	var (
		matches []match
		forced  bool
	)
	prefix := ""
	components := strings.Split(strings.Trim(path, "/"), "/")
	for depth := 0; depth <= len(components); depth++ {
		if depth > 0 {
			if components[depth-1] == "" {
				continue
			}
			prefix += "/" + components[depth-1]
		}
		for i := range p.files {
			if m := &p.files[i]; m.matches(prefix) {
				matches = append(matches, match{m, depth})
				forced = forced || m.commandLine && m.access == 0
			}
		}
	}
	var winners []match // those that nothing beats
	for _, m := range matches {
		if forced && m.commandLine && m.access != 0 {
			continue
		}
		better := 1
		if len(winners) > 0 {
			better = cmp.Or(m.depth-winners[0].depth, m.compare(winners[0].fileMatcher))
		}
		switch {
		case better > 0:
			winners = []match{m}
		case better == 0:
			winners = append(winners, m)
		}
	}
	if len(winners) == 0 {
		return p.defaultAccess(), 0
	}
	access := winners[0].access
	for _, m := range winners {
		access &= m.access
	}
	for _, m := range winners {
		if m.access == access {
			return access, m.number
		}
	}
	return access, winners[0].number
}

// defaultAccess is what the flags give where no rule matches.
func (p *Policy) defaultAccess() Access {
	var a Access
	if Flags(p.Flags).Has(AllowFileAccess) {
		a |= Read | Write | Map
	}
	if Flags(p.Flags).Has(AllowExec) {
		a |= Exec
	}
	return a
}

// matches tells whether the pattern matches the whole of a path; the root directory is
// the empty one.
func (p *pattern) matches(path string) bool {
	tried := make(map[[2]int]bool)
	var match func(t, at int) bool
	match = func(t, at int) bool {
		if tried[[2]int{t, at}] {
			return false // and found wanting
		}
		tried[[2]int{t, at}] = true
		if t == len(p.tokens) {
			return at == len(path)
		}
		more := at < len(path)
		switch token := p.tokens[t]; token.kind {
		case oneByte:
			return more && token.set.has(path[at]) && match(t+1, at+1)
		case someName:
			return match(t+1, at) || more && path[at] != '/' && match(t, at+1)
		case someBytes:
			return match(t+1, at) || more && match(t, at+1)
		}
		if match(t+1, at) {
			return true
		}
		if !more || path[at] != '/' {
			return false
		}
		for at++; at < len(path) && path[at] != '/'; at++ {
		}
		return match(t, at)
	}
	return match(0, 0)
}

// Verdict tells whether a port may be used and the number of the rule that decided,
// straight from the definition; 0 where no rule matches and the flag decides. The
// protocol is TCP or UDP, the direction Bind or Connect.
func (p *Policy) Verdict(protocol Protocol, direction Direction, addr netip.Addr, port uint16) (bool, uint32) {
	addr = addr.Unmap().WithZone("")
	if direction == Bind && addr.IsUnspecified() {
		if rule := p.wildcardRefusal(protocol, addr, port); rule != 0 {
			return false, rule
		}
	}
	var top *netMatcher
	for i := range p.network {
		m := &p.network[i]
		if m.Prefix.IsValid() && !m.Prefix.Contains(addr) {
			continue
		}
		if m.speaksOf(protocol, direction) && m.Ports.contains(port) && (top == nil || m.beats(top)) {
			top = m
		}
	}
	if top == nil {
		return Flags(p.Flags).Has(AllowNetwork), 0
	}
	return top.Allow, top.number
}

// wildcardRefusal gives the first rule that refuses a port at some address, which binding
// the wildcard address would take along; 0: none.
func (p *Policy) wildcardRefusal(protocol Protocol, wildcard netip.Addr, port uint16) uint32 {
	for i := range p.network {
		m := &p.network[i]
		if !m.closesWildcard() || !m.speaksOf(protocol, Bind) || !m.Ports.contains(port) ||
			wildcard.Is4() && m.Prefix.Addr().Is6() {
			continue
		}
		beaten := false
		for j := range p.network {
			o := &p.network[j]
			beaten = beaten || o.bits() > 0 && o.Prefix == m.Prefix && o.speaksOf(protocol, Bind) &&
				o.Ports.contains(port) && o.beats(m)
		}
		if !beaten {
			return m.number
		}
	}
	return 0
}
