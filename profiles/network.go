package profiles

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ParsePrefix reads an address or a CIDR. An IPv4-mapped IPv6 address is the IPv4 one.
func ParsePrefix(s string) (netip.Prefix, error) {
	wrong := func(format string, args ...any) (netip.Prefix, error) {
		return netip.Prefix{}, fmt.Errorf("%s "+format, append([]any{token(s)}, args...)...)
	}
	text, length, isPrefix := strings.Cut(s, "/")
	if strings.Contains(text, "%") {
		return wrong("has a zone: rules are about addresses on every interface")
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		if looksLikeName(text) {
			return wrong("is a name: addresses are what the kernel sees, write them")
		}
		return wrong("is not an IPv4 or IPv6 address or CIDR")
	}
	bits := addr.BitLen()
	if isPrefix {
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > bits || strconv.Itoa(n) != length {
			return wrong("has a bad prefix length: expected 0 to %d", bits)
		}
		bits = n
	}
	if addr.Is4In6() && bits >= 96 {
		addr, bits = addr.Unmap(), bits-96
	}
	p := netip.PrefixFrom(addr, bits)
	masked := p.Masked()
	if masked.Addr() != addr {
		return wrong("has bits set beyond its prefix: did you mean %s?", masked)
	}
	return masked, nil
}

// looksLikeName tells a host name from a mistyped address.
func looksLikeName(s string) bool {
	if strings.Contains(s, ":") {
		return false
	}
	return strings.ContainsFunc(s, func(r rune) bool { return r|0x20 >= 'g' && r|0x20 <= 'z' })
}

// ParsePorts reads a port or a range "A-B", as options of `jail run` have them.
func ParsePorts(s string) (Ports, error) {
	if strings.Contains(s, "-") {
		return parseRange(s)
	}
	n, err := parsePort(s)
	if err != nil {
		return Ports{}, err
	}
	return Ports{n, n}, nil
}

// parseRange reads "A-B".
func parseRange(s string) (Ports, error) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		if n, err := parsePort(s); err == nil {
			return Ports{}, fmt.Errorf("a single port is an integer: write port = %d", n)
		}
		return Ports{}, fmt.Errorf(`%s is not a port: expected an integer or a range "A-B"`, token(s))
	}
	a, err := parsePort(first)
	if err != nil {
		return Ports{}, fmt.Errorf("range %s: %w", token(s), err)
	}
	b, err := parsePort(last)
	if err != nil {
		return Ports{}, fmt.Errorf("range %s: %w", token(s), err)
	}
	switch {
	case a == 0:
		return Ports{}, fmt.Errorf("range %s has port 0, which stands for a port of the kernel's choice: give it a rule of its own", token(s))
	case b < a:
		return Ports{}, fmt.Errorf("range %s runs backward", token(s))
	}
	return Ports{a, b}, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%s is not a port: expected 0 to 65535", token(s))
	}
	return uint16(n), nil
}

// netMatcher is a network rule with its number in Policy.Rules.
type netMatcher struct {
	NetworkRule
	number uint32
}

// compare is positive where m is more specific than o, of rules that match the same:
// the longer prefix, then the fewer ports, then a protocol's name over any.
func (m *netMatcher) compare(o *netMatcher) int {
	return cmp.Or(
		cmp.Compare(m.bits(), o.bits()),
		-cmp.Compare(m.Ports.width(), o.Ports.width()),
		cmp.Compare(min(m.Protocol, 1), min(o.Protocol, 1)),
	)
}

// bits is the length of the rule's prefix; a rule for every address is like one for /0.
func (m *netMatcher) bits() int { return max(0, m.Prefix.Bits()) }

// beats orders rules by who decides: the more specific one, a deny on a tie, the first.
func (m *netMatcher) beats(o *netMatcher) bool {
	switch c := m.compare(o); {
	case c != 0:
		return c > 0
	case m.Allow != o.Allow:
		return !m.Allow
	}
	return m.number < o.number
}

func (m *netMatcher) speaksOf(protocol Protocol, direction Direction) bool {
	return (m.Protocol == AnyProtocol || m.Protocol == protocol) &&
		(m.Direction == BothDirections || m.Direction == direction)
}

// portLists are the lists of a node, in the order of enum port_list.
var portLists = []struct {
	protocol  Protocol
	direction Direction
}{{TCP, Bind}, {TCP, Connect}, {UDP, Bind}, {UDP, Connect}}

// Values of enum port_verdict.
const (
	portNone = iota
	portAllow
	portDeny
)

// portRange is struct port_range.
type portRange struct {
	first   uint16
	verdict uint16
	rule    uint32
}

// netNode is the rules of one prefix.
type netNode struct {
	prefix netip.Prefix
	rules  []*netMatcher
	parent int
}

// netRange is a run of addresses, up to the next one's first, whose innermost prefix is
// the node's.
type netRange struct {
	first netip.Addr
	node  int
}

// compileNetwork writes the tables of the network rules.
func (p *Policy) compileNetwork(t *tables) {
	if len(p.network) == 0 {
		return
	}
	closed4, closed6 := p.closedWildcards()
	v4 := p.nodes(netip.IPv4Unspecified(), closed4 != nil)
	v6 := p.nodes(netip.IPv6Unspecified(), closed6 != nil)
	ranges4, ranges6 := ranges(v4), ranges(v6)

	p.NetV4At, p.NetV4Len = t.reserve(range4Bytes), uint32(len(ranges4))
	for _, r := range ranges4 {
		first := r.first.As4()
		t.word(binary.BigEndian.Uint32(first[:]))
		t.word(uint32(r.node))
	}
	p.NetV6At, p.NetV6Len = t.reserve(range6Bytes), uint32(len(ranges6))
	for _, r := range ranges6 {
		first := r.first.As16()
		for i := 0; i < len(first); i += 4 {
			t.word(binary.BigEndian.Uint32(first[i:]))
		}
		t.word(uint32(len(v4) + r.node))
		t.reserve(range6Bytes)
	}

	// Nodes with equal lists share one.
	var (
		heads  = make([][2][4]uint32, 0, len(v4)+len(v6)) // at and len
		shared = make(map[string]uint32)
	)
	t.reserve(portRangeBytes)
	for at, n := range slices.Concat(v4, v6) {
		closed := closed4
		if at >= len(v4) {
			closed = closed6
		}
		var head [2][4]uint32
		for i, l := range portLists {
			list := ports(n.rules, l.protocol, l.direction)
			if closed != nil && l.direction == Bind && n.isWildcard() {
				list = closed[l.protocol].over(list)
			}
			bytes := encodePorts(list)
			at, ok := shared[string(bytes)]
			if !ok {
				at = uint32(len(t.bytes))
				shared[string(bytes)] = at
				t.bytes = append(t.bytes, bytes...)
			}
			head[0][i], head[1][i] = at, uint32(len(list))
		}
		heads = append(heads, head)
	}
	p.NetNodeAt, p.NetNodeLen = t.reserve(nodeBytes), uint32(len(heads))
	for i, head := range heads {
		for _, w := range slices.Concat(head[0][:], head[1][:]) {
			t.word(w)
		}
		if i < len(v4) {
			t.word(uint32(v4[i].parent))
		} else {
			t.word(uint32(len(v4) + v6[i-len(v4)].parent))
		}
		t.reserve(nodeBytes)
	}
}

// nodes gives the prefixes of a family, each after those that enclose it. Rules without
// an address are the root's. wildcard adds a node for the address any itself.
func (p *Policy) nodes(any netip.Addr, wildcard bool) []netNode {
	root := netip.PrefixFrom(any, 0)
	list := []netNode{{prefix: root}}
	at := map[netip.Prefix]int{root: 0}
	if wildcard {
		host := netip.PrefixFrom(any, any.BitLen())
		at[host] = len(list)
		list = append(list, netNode{prefix: host})
	}
	for i := range p.network {
		m := &p.network[i]
		prefix := m.Prefix
		if !prefix.IsValid() {
			prefix = root
		}
		if prefix.Addr().BitLen() != root.Addr().BitLen() {
			continue
		}
		n, ok := at[prefix]
		if !ok {
			n = len(list)
			at[prefix] = n
			list = append(list, netNode{prefix: prefix})
		}
		list[n].rules = append(list[n].rules, m)
	}
	slices.SortFunc(list, func(a, b netNode) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	for i := 1; i < len(list); i++ {
		parent := i - 1
		for !list[parent].prefix.Contains(list[i].prefix.Addr()) {
			parent = list[parent].parent
		}
		list[i].parent = parent
	}
	return list
}

func (n *netNode) isWildcard() bool { return n.prefix.IsSingleIP() && n.prefix.Addr().IsUnspecified() }

// closedPorts are ports that must not be bound on the wildcard address, with the rules
// that refuse them at some address; 0: none does.
type closedPorts [math.MaxUint16 + 1]uint32

// closedWildcards gives, for IPv4 and for IPv6, the ports that are closed on the wildcard
// address, by protocol; nil: none. The IPv6 one takes IPv4 along.
func (p *Policy) closedWildcards() (v4, v6 map[Protocol]*closedPorts) {
	if !slices.ContainsFunc(p.network, func(m netMatcher) bool { return m.closesWildcard() }) {
		return nil, nil
	}
	byPrefix := make(map[netip.Prefix][]*netMatcher)
	for i := range p.network {
		if m := &p.network[i]; m.bits() > 0 {
			byPrefix[m.Prefix] = append(byPrefix[m.Prefix], m)
		}
	}
	type span struct {
		first, last int
		number      uint32
		is4         bool
	}
	v4, v6 = make(map[Protocol]*closedPorts), make(map[Protocol]*closedPorts)
	for _, protocol := range []Protocol{TCP, UDP} {
		var spans []span
		for prefix, rules := range byPrefix {
			list := ports(rules, protocol, Bind)
			for i, r := range list {
				if r.verdict != portDeny || !p.byNumber(r.rule).closesWildcard() {
					continue
				}
				last := math.MaxUint16
				if i+1 < len(list) {
					last = int(list[i+1].first) - 1
				}
				spans = append(spans, span{int(r.first), last, r.rule, prefix.Addr().Is4()})
			}
		}
		slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.number, b.number) })
		paint := func(with4, with6 bool) *closedPorts {
			var c closedPorts
			for _, s := range spans {
				if s.is4 && !with4 || !s.is4 && !with6 {
					continue
				}
				for port := s.first; port <= s.last; port++ {
					if c[port] == 0 {
						c[port] = s.number
					}
				}
			}
			return &c
		}
		v4[protocol], v6[protocol] = paint(true, false), paint(true, true)
	}
	return v4, v6
}

// byNumber finds a rule by its number in Policy.Rules; they are in that order.
func (p *Policy) byNumber(number uint32) *netMatcher {
	return &p.network[number-p.network[0].number]
}

// closesWildcard tells whether a rule refuses a port at some address in a way that
// binding the wildcard address must not get around: it names ports, or speaks of bind
// alone. A rule without ports is about peers.
func (m *netMatcher) closesWildcard() bool {
	return !m.Allow && m.bits() > 0 && m.Direction != Connect &&
		(m.Direction == Bind || m.Ports != AllPorts)
}

// over puts the closed ports over a list.
func (c *closedPorts) over(list []portRange) []portRange {
	var out []portRange
	for port := range len(c) {
		r := portRange{first: uint16(port), verdict: portDeny, rule: c[port]}
		if r.rule == 0 {
			r.verdict = portNone
			for len(list) > 1 && int(list[1].first) <= port {
				list = list[1:]
			}
			if len(list) > 0 {
				r.verdict, r.rule = list[0].verdict, list[0].rule
			}
		}
		if n := len(out); n == 0 || out[n-1].verdict != r.verdict || out[n-1].rule != r.rule {
			out = append(out, r)
		}
	}
	return out
}

// ranges cuts the addresses of a family where the innermost prefix changes.
func ranges(nodes []netNode) []netRange {
	var (
		list []netRange
		open []int // enclosing prefixes, the innermost last
	)
	begin := func(first netip.Addr, node int) {
		if n := len(list); n > 0 && list[n-1].first == first {
			list = list[:n-1]
		}
		if n := len(list); n == 0 || list[n-1].node != node {
			list = append(list, netRange{first, node})
		}
	}
	// end closes the innermost prefix: what follows it is its parent's.
	end := func() {
		n := nodes[open[len(open)-1]]
		open = open[:len(open)-1]
		if next := lastAddr(n.prefix).Next(); next.IsValid() {
			begin(next, n.parent)
		}
	}
	for i, n := range nodes {
		for len(open) > 0 && open[len(open)-1] != n.parent {
			end()
		}
		begin(n.prefix.Addr(), i)
		open = append(open, i)
	}
	for len(open) > 0 {
		end()
	}
	return list
}

// lastAddr is the last address of a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(b); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// ports cuts the ports where the rule that decides changes, among those of one prefix.
func ports(rules []*netMatcher, protocol Protocol, direction Direction) []portRange {
	var (
		heard []*netMatcher
		cuts  = []int{0}
	)
	for _, m := range rules {
		if m.speaksOf(protocol, direction) {
			heard = append(heard, m)
			cuts = append(cuts, int(m.Ports.First), int(m.Ports.Last)+1)
		}
	}
	if len(heard) == 0 {
		return nil
	}
	slices.SortFunc(heard, func(a, b *netMatcher) int { return cmp.Compare(a.Ports.First, b.Ports.First) })
	slices.Sort(cuts)
	var (
		list []portRange
		open deciders
	)
	for _, port := range slices.Compact(cuts) {
		if port > math.MaxUint16 {
			break
		}
		for len(heard) > 0 && int(heard[0].Ports.First) <= port {
			heap.Push(&open, heard[0])
			heard = heard[1:]
		}
		for len(open) > 0 && int(open[0].Ports.Last) < port {
			heap.Pop(&open)
		}
		r := portRange{first: uint16(port)}
		if len(open) > 0 {
			r.verdict, r.rule = portDeny, open[0].number
			if open[0].Allow {
				r.verdict = portAllow
			}
		}
		if n := len(list); n == 0 || list[n-1].verdict != r.verdict || list[n-1].rule != r.rule {
			list = append(list, r)
		}
	}
	return list
}

func encodePorts(list []portRange) []byte {
	var b []byte
	for _, r := range list {
		b = binary.LittleEndian.AppendUint16(b, r.first)
		b = binary.LittleEndian.AppendUint16(b, r.verdict)
		b = binary.LittleEndian.AppendUint32(b, r.rule)
	}
	return b
}

// deciders is a heap of rules, the one that decides first.
type deciders []*netMatcher

func (d deciders) Len() int           { return len(d) }
func (d deciders) Less(i, j int) bool { return d[i].beats(d[j]) }
func (d deciders) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deciders) Push(m any)        { *d = append(*d, m.(*netMatcher)) }

func (d *deciders) Pop() any {
	last := len(*d) - 1
	m := (*d)[last]
	*d = (*d)[:last]
	return m
}
