package profiles

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// EnrollmentSocket is the socket that every subject may connect to, whatever its role,
// as long as root owns it.
const EnrollmentSocket = "/run/bpfjailer/enrollment.sock"

// What accept words of UNIX rules say: enum unix_access.
const (
	unixAllow       = Write
	unixAllowIfRoot = Exec
)

// nameMatcher is a rule about abstract names.
type nameMatcher struct {
	tokens []pathToken // without someDirs; * and ** match any bytes
	number uint32      // in Policy.Rules
}

// addUnix makes the matcher of an element of `unix`.
func (p *Policy) addUnix(u Text, number uint32, env *Env) error {
	if err := checkUnix(u.Value); err != nil {
		return err
	}
	if u.Value[0] != '@' {
		pt, err := compilePattern(u.Value, env)
		if err == nil {
			p.unix = append(p.unix, fileMatcher{pattern: pt, access: unixAllow | unixAllowIfRoot, number: number})
		}
		return err
	}
	glyphs, err := lexPattern(u.Value[1:])
	if err == nil {
		glyphs, err = substitute(glyphs, env.Vars)
	}
	if err != nil {
		return err
	}
	m := nameMatcher{number: number}
	for _, g := range glyphs {
		t := pathToken{kind: someBytes}
		switch g.kind {
		case literal:
			t = pathToken{set: single(g.byte)}
		case wildOne:
			t = pathToken{set: g.set}
		}
		m.tokens = append(m.tokens, t)
	}
	p.names = append(p.names, m)
	return nil
}

// compileUnix writes the automata of the UNIX rules. Roles that have the network have
// all sockets; the automata are there for when it is taken away from a loaded policy.
func (p *Policy) compileUnix(env *Env, t *tables) error {
	serve, err := compilePattern(EnrollmentSocket, env)
	if err != nil {
		return err
	}
	rules := append(slices.Clone(p.unix), fileMatcher{pattern: serve, access: unixAllowIfRoot})
	a, ok := automatonOf(rules, rootBytes(env.Mounts))
	if !ok {
		return fmt.Errorf("%w: its unix rules need more than %d states", ErrTooLarge, maxStates)
	}
	g := newGraph(a)
	p.UnixRoot = uint32(g.root)
	for _, s := range g.starts(env) {
		if s.Kind != StartCharDevice {
			p.Starts = append(p.Starts, Start{s.Kind + StartUnix, s.Value, s.State})
		}
	}
	if g.states() > maxStates {
		return fmt.Errorf("%w: its unix rules need %d states, at most %d fit", ErrTooLarge, g.states(), maxStates)
	}
	p.UnixStates, p.UnixClasses = uint32(g.states()), uint32(g.size())
	p.UnixClassAt, p.UnixNextAt, p.UnixAcceptAt = t.graph(g)
	return p.compileNames(t)
}

// compileNames writes the automaton of the abstract names.
func (p *Policy) compileNames(t *tables) error {
	if len(p.names) == 0 {
		return nil
	}
	g, ok := nameGraph(p.names)
	if !ok {
		return fmt.Errorf("%w: its rules for abstract names need more than %d states", ErrTooLarge, maxStates)
	}
	p.NameStates, p.NameClasses = uint32(g.states()), uint32(g.size())
	p.NameClassAt, p.NameNextAt, p.NameAcceptAt = t.graph(g)
	return nil
}

// graph writes an automaton.
func (t *tables) graph(g *graph) (class, next, accept uint32) {
	class = t.reserve(256)
	t.bytes = append(t.bytes, g.class[:]...)
	next = t.reserve(2)
	for _, to := range g.next {
		t.bytes = binary.LittleEndian.AppendUint16(t.bytes, uint16(to))
	}
	accept = t.reserve(4)
	for _, word := range g.accept {
		t.word(word)
	}
	return class, next, accept
}

// nameGraph makes the automaton of abstract names, which have no components: its states
// are the sets of places within patterns that a name may have come to. State 0 is not
// used and state 1 the start; ok is false where there are too many.
func nameGraph(rules []nameMatcher) (g *graph, ok bool) {
	letters := &alphabet{first: []byte{0}}
	for _, m := range rules {
		for _, t := range m.tokens {
			if t.kind == oneByte {
				letters.refine(t.set)
			}
		}
	}
	g = &graph{alphabet: letters, next: make([]int32, letters.size()), accept: []uint32{0}, root: 1}
	type place struct{ rule, token int32 }
	var (
		sets   = [][]place{nil}
		states = make(map[string]int32)
		work   int
	)
	state := func(set []place) int32 {
		// Where a token may match nothing, so may be what follows.
		for i := 0; i < len(set); i++ {
			tokens := rules[set[i].rule].tokens
			if at := set[i].token; int(at) < len(tokens) && tokens[at].kind == someBytes {
				set = append(set, place{set[i].rule, at + 1})
			}
		}
		slices.SortFunc(set, func(a, b place) int { return int(a.rule-b.rule)<<16 + int(a.token-b.token) })
		set = slices.Compact(set)
		var key []byte
		for _, at := range set {
			key = binary.NativeEndian.AppendUint32(key, uint32(at.rule))
			key = binary.NativeEndian.AppendUint32(key, uint32(at.token))
		}
		work += len(set) + 1
		n, known := states[string(key)]
		if !known {
			n = g.link()
			states[string(key)] = n
			sets = append(sets, set)
			for _, at := range set { // in order of rules: the first decides
				if int(at.token) == len(rules[at.rule].tokens) {
					g.accept[n] = uint32(unixAllow|Matched) | rules[at.rule].number<<8
					break
				}
			}
		}
		return n
	}
	start := make([]place, len(rules))
	for i := range rules {
		start[i].rule = int32(i)
	}
	state(start)
	for s := 1; s < len(sets); s++ {
		for class, c := range letters.first {
			var to []place
			for _, at := range sets[s] {
				tokens := rules[at.rule].tokens
				if int(at.token) == len(tokens) {
					continue
				}
				switch t := tokens[at.token]; {
				case t.kind == someBytes:
					to = append(to, at)
				case t.set.has(c):
					to = append(to, place{at.rule, at.token + 1})
				}
			}
			n := state(to)
			g.next[s*letters.size()+class] = n
		}
		if len(sets) > maxStates || work > maxWork {
			return nil, false
		}
	}
	return g, true
}

// EvalUnix tells whether a role may reach the UNIX socket at a canonical path, or, after
// an @, of an abstract name, and which rule says so: 0 where none does. It reads the
// tables as the kernel part does; ofRoot tells who owns the socket's file.
func (p *Policy) EvalUnix(name string, ofRoot bool) (allow bool, rule uint32) {
	if Flags(p.Flags).Has(AllowNetwork) {
		return true, 0
	}
	view := *p
	view.FileStates, view.FileClasses = p.UnixStates, p.UnixClasses
	view.FileClassAt, view.FileNextAt, view.FileAcceptAt = p.UnixClassAt, p.UnixNextAt, p.UnixAcceptAt
	start := p.UnixRoot
	if len(name) > 0 && name[0] == '@' {
		name = name[1:]
		view.FileStates, view.FileClasses = p.NameStates, p.NameClasses
		view.FileClassAt, view.FileNextAt, view.FileAcceptAt = p.NameClassAt, p.NameNextAt, p.NameAcceptAt
		start = 1
	}
	if view.FileStates == 0 {
		return false, 0
	}
	word := p.word(view.FileAcceptAt + 4*view.walk(start, name))
	access := Access(word)
	return access&unixAllow != 0 || access&unixAllowIfRoot != 0 && ofRoot, word >> 8
}

// MatchUnix gives what EvalUnix does, straight from the definition: a rule covers what it
// matches and what is beneath; a name it matches as a whole.
func (p *Policy) MatchUnix(name string, ofRoot bool) bool {
	if Flags(p.Flags).Has(AllowNetwork) {
		return true
	}
	if len(name) > 0 && name[0] == '@' {
		return slices.ContainsFunc(p.names, func(m nameMatcher) bool {
			return (&pattern{tokens: m.tokens}).matches(name[1:])
		})
	}
	reference := Policy{files: p.unix}
	if access, _ := reference.Match(name); access&unixAllow != 0 {
		return true
	}
	return name == EnrollmentSocket && ofRoot
}

// openResolvers adds the rules that `dns = true` stands for.
func (env *Env) openResolvers(at Place, to *Rules) {
	for _, a := range env.Resolvers {
		a = a.Unmap().WithZone("")
		to.Network = append(to.Network, NetworkRule{
			Direction: Connect, Ports: Ports{53, 53}, Prefix: netip.PrefixFrom(a, a.BitLen()), Allow: true, Place: at,
		})
	}
	// musl's resolver binds its socket before it sends.
	to.Network = append(to.Network, NetworkRule{Protocol: UDP, Direction: Bind, Allow: true, Place: at})
	for _, s := range env.ResolverSockets {
		to.Unix = append(to.Unix, Text{Value: QuotePattern(s), Place: at})
	}
}
