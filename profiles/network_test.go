package profiles

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func compileNetworkRules(t *testing.T, flags Flags, rules ...NetworkRule) *Policy {
	t.Helper()
	r := &Role{ID: FirstUserID, Name: "net", Flags: flags}
	r.Network = rules
	p, err := r.Compile(Env{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sameNetVerdict compares the tables with the definition.
func sameNetVerdict(t *testing.T, p *Policy, protocol Protocol, direction Direction, addr netip.Addr, port uint16) {
	t.Helper()
	want, decider := p.Verdict(protocol, direction, addr, port)
	got, rule := p.EvalNetwork(protocol, direction, addr, port)
	if got != want || rule != decider {
		t.Errorf("%s %s %s port %d: tables give %t by rule %d, definition %t by rule %d",
			protocol, direction, addr, port, got, rule, want, decider)
	}
}

func prefix(s string) netip.Prefix {
	p, err := ParsePrefix(s)
	if err != nil {
		panic(err)
	}
	return p
}

func TestMostSpecificNetworkRuleDecides(t *testing.T) {
	p := compileNetworkRules(t, 0,
		NetworkRule{Ports: AllPorts, Prefix: prefix("10.0.0.0/8"), Allow: true},                              // 1
		NetworkRule{Ports: Ports{80, 80}},                                                                    // 2
		NetworkRule{Ports: Ports{443, 443}, Allow: true},                                                     // 3
		NetworkRule{Ports: Ports{8000, 8100}, Allow: true},                                                   // 4
		NetworkRule{Ports: Ports{8050, 8060}},                                                                // 5
		NetworkRule{Ports: Ports{8055, 8055}, Allow: true},                                                   // 6
		NetworkRule{Ports: Ports{53, 53}},                                                                    // 7
		NetworkRule{Ports: Ports{53, 53}, Protocol: UDP, Allow: true},                                        // 8
		NetworkRule{Ports: Ports{9, 9}, Allow: true},                                                         // 9
		NetworkRule{Ports: Ports{9, 9}},                                                                      // 10
		NetworkRule{Ports: AllPorts, Prefix: prefix("10.1.0.0/16")},                                          // 11
		NetworkRule{Ports: Ports{25, 25}, Prefix: prefix("10.1.2.3"), Direction: Connect, Allow: true},       // 12
		NetworkRule{Ports: Ports{22, 22}, Prefix: prefix("2001:db8::/32"), Allow: true},                      // 13
		NetworkRule{Ports: Ports{22, 22}, Prefix: prefix("::ffff:192.0.2.0/120"), Allow: true},               // 14
		NetworkRule{Ports: Ports{0, 0}, Direction: Bind, Allow: true},                                        // 15
		NetworkRule{Ports: Ports{70, 70}, Prefix: prefix("0.0.0.0/0"), Allow: true},                          // 16
		NetworkRule{Ports: Ports{70, 70}},                                                                    // 17
		NetworkRule{Ports: AllPorts, Prefix: prefix("255.255.255.255"), Allow: true},                         // 18
		NetworkRule{Ports: AllPorts, Prefix: prefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Allow: true}, // 19
	)
	for _, c := range []struct {
		protocol  Protocol
		direction Direction
		addr      string
		port      uint16
		allow     bool
		rule      uint32
	}{
		{TCP, Connect, "192.0.2.9", 80, false, 2},
		{TCP, Connect, "10.9.9.9", 80, true, 1},
		{TCP, Connect, "::ffff:10.9.9.9", 80, true, 1},
		{TCP, Connect, "9.255.255.255", 80, false, 2},
		{TCP, Connect, "11.0.0.0", 80, false, 2},
		{UDP, Bind, "::1", 443, true, 3},
		{TCP, Connect, "1.1.1.1", 8000, true, 4},
		{TCP, Connect, "1.1.1.1", 8100, true, 4},
		{TCP, Connect, "1.1.1.1", 8101, false, 0},
		{TCP, Connect, "1.1.1.1", 7999, false, 0},
		{TCP, Connect, "1.1.1.1", 8050, false, 5},
		{TCP, Connect, "1.1.1.1", 8055, true, 6},
		{TCP, Connect, "1.1.1.1", 8060, false, 5},
		{TCP, Connect, "1.1.1.1", 8061, true, 4},
		{TCP, Connect, "1.1.1.1", 53, false, 7},
		{UDP, Connect, "1.1.1.1", 53, true, 8},
		{UDP, Connect, "1.1.1.1", 9, false, 10},
		{TCP, Connect, "10.1.2.2", 443, false, 11},
		{TCP, Connect, "10.1.2.3", 25, true, 12},
		{TCP, Bind, "10.1.2.3", 25, false, 11},
		{TCP, Connect, "2001:db8::5", 22, true, 13},
		{TCP, Connect, "2001:db9::5", 22, false, 0},
		{TCP, Connect, "192.0.2.7", 22, true, 14},
		{TCP, Connect, "::ffff:192.0.2.7", 22, true, 14},
		{TCP, Connect, "192.0.3.7", 22, false, 0},
		{TCP, Bind, "0.0.0.0", 0, true, 15},
		{UDP, Bind, "::", 0, true, 15},
		{TCP, Connect, "127.0.0.1", 0, false, 0},
		{TCP, Connect, "1.2.3.4", 70, false, 17},
		{TCP, Connect, "255.255.255.255", 65535, true, 18},
		{TCP, Connect, "255.255.255.254", 65535, false, 0},
		{TCP, Connect, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, true, 19},
		{TCP, Connect, "::", 65535, false, 0},
	} {
		addr := netip.MustParseAddr(c.addr)
		if allow, rule := p.Verdict(c.protocol, c.direction, addr, c.port); allow != c.allow || rule != c.rule {
			t.Errorf("%s %s %s port %d: got %t by rule %d, want %t by rule %d",
				c.protocol, c.direction, addr, c.port, allow, rule, c.allow, c.rule)
		}
		sameNetVerdict(t, p, c.protocol, c.direction, addr, c.port)
	}
}

func TestFlagDecidesWithoutNetworkRules(t *testing.T) {
	for _, flags := range []Flags{0, AllowNetwork} {
		p := compileNetworkRules(t, flags)
		if p.NetNodeLen != 0 {
			t.Errorf("%d nodes", p.NetNodeLen)
		}
		if got, _ := p.EvalNetwork(TCP, Bind, netip.IPv6Unspecified(), 1); got != (flags != 0) {
			t.Errorf("flags %b give %t", flags, got)
		}
	}
}

// randomNet makes rules and questions from a source, so that they meet often.
func randomNet(next func(n int) int) ([]NetworkRule, func() (Protocol, Direction, netip.Addr, uint16)) {
	edges := []uint16{0, 1, 2, 79, 80, 81, 82, 1024, 65534, 65535}
	port := func() uint16 { return edges[next(len(edges))] }
	addr := func() netip.Addr {
		switch next(9) {
		case 0:
			return netip.IPv4Unspecified()
		case 1:
			return netip.IPv6Unspecified()
		}
		if next(2) == 0 {
			return netip.AddrFrom4([4]byte{byte(254 + next(2)), 255, byte(next(2)), byte(255 * next(2))})
		}
		var b [16]byte
		b[0], b[8], b[15] = byte(next(2)*255), byte(next(2)*128), byte(next(2))
		return netip.AddrFrom16(b)
	}
	var rules []NetworkRule
	for range next(12) {
		r := NetworkRule{Protocol: Protocol(next(3)), Direction: Direction(next(3)), Ports: AllPorts, Allow: next(2) == 0}
		if next(3) > 0 {
			a, b := port(), port()
			r.Ports = Ports{min(a, b), max(a, b)}
		}
		if next(3) > 0 {
			a := addr()
			bits := []int{0, 1, 7, 8, 9, 15, 16, 31, 32, 64, 65, 127, 128}[next(13)]
			r.Prefix = netip.PrefixFrom(a, min(bits, a.BitLen())).Masked()
		}
		rules = append(rules, r)
	}
	return rules, func() (Protocol, Direction, netip.Addr, uint16) {
		return TCP + Protocol(next(2)), Bind + Direction(next(2)), addr(), port()
	}
}

func TestNetworkTablesAgreeWithDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		rules, ask := randomNet(r.IntN)
		p := compileNetworkRules(t, Flags(r.IntN(2))*AllowNetwork, rules...)
		for range 60 {
			protocol, direction, addr, port := ask()
			sameNetVerdict(t, p, protocol, direction, addr, port)
		}
		if t.Failed() {
			t.Fatalf("%v", rules)
		}
	}
}

// draw gives numbers below n, one of each byte; 0 when there are no more.
func draw(data []byte) func(n int) int {
	return func(n int) int {
		if len(data) == 0 {
			return 0
		}
		v := int(data[0]) % n
		data = data[1:]
		return v
	}
}

// FuzzNetwork compares the tables with the definition.
func FuzzNetwork(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 500 {
			return
		}
		next := draw(data)
		rules, ask := randomNet(next)
		p := compileNetworkRules(t, 0, rules...)
		for range 20 {
			protocol, direction, addr, port := ask()
			sameNetVerdict(t, p, protocol, direction, addr, port)
		}
	})
}

func TestNetworkRulesTakeConstantSpace(t *testing.T) {
	size := func(n int) int {
		var rules []NetworkRule
		for i := range n {
			rules = append(rules, NetworkRule{
				Ports: Ports{uint16(i + 1), uint16(60000 - i)}, Allow: i%2 == 0,
				Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}), 24),
			})
		}
		p := compileNetworkRules(t, 0, rules...)
		return len(p.Tables)
	}
	if a, b := size(1000), size(2000); b > 5*a/2 {
		t.Errorf("1000 rules take %d bytes, 2000 take %d", a, b)
	}
}

func TestNestedPortRangesStaySmall(t *testing.T) {
	var rules []NetworkRule
	for i := range 20000 {
		rules = append(rules, NetworkRule{Ports: Ports{uint16(i + 1), uint16(65000 - i)}, Allow: i%2 == 0})
	}
	p := compileNetworkRules(t, 0, rules...)
	// Two families share four lists of at most two entries a rule.
	if most := 2*len(rules)*portRangeBytes + PageBytes; len(p.Tables) > most {
		t.Errorf("%d bytes of tables, expected at most %d", len(p.Tables), most)
	}
	for _, port := range []uint16{0, 1, 2, 19999, 20000, 30000, 45001, 65000, 65001, 65535} {
		sameNetVerdict(t, p, TCP, Bind, netip.IPv4Unspecified(), port)
	}
}

func TestTablesStartWhereSearchesExpect(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 50 {
		rules, _ := randomNet(r.IntN)
		p := compileNetworkRules(t, 0, append(rules, NetworkRule{Ports: Ports{5, 5}})...)
		if p.word(p.NetV4At) != 0 {
			t.Error("the first IPv4 range is not at 0.0.0.0")
		}
		for i := range uint32(4) {
			if p.word(p.NetV6At+4*i) != 0 {
				t.Error("the first IPv6 range is not at ::")
			}
		}
		for n := range p.NetNodeLen {
			head := p.NetNodeAt + n*nodeBytes
			if parent := p.word(head + 32); parent > n {
				t.Errorf("node %d has parent %d", n, parent)
			}
			for l := range uint32(4) {
				at, count := p.word(head+4*l), p.word(head+16+4*l)
				if count > 0 && binary.LittleEndian.Uint16(p.Tables[at:]) != 0 {
					t.Errorf("list %d of node %d does not start at port 0", l, n)
				}
				if at%portRangeBytes != 0 {
					t.Errorf("list %d of node %d is at %d", l, n, at)
				}
			}
		}
		for _, at := range [][2]uint32{
			{p.NetV4At, range4Bytes},
			{p.NetV6At, range6Bytes},
			{p.NetNodeAt, nodeBytes},
		} {
			if at[0]%at[1] != 0 || PageBytes%at[1] != 0 {
				t.Errorf("items of %d bytes at %d cross a page", at[1], at[0])
			}
		}
	}
}

func TestCommandLinePortsAndPrefixes(t *testing.T) {
	for s, want := range map[string]string{"80": "80", "0": "0", "8000-8100": "8000-8100", "65535": "65535"} {
		if p, err := ParsePorts(s); err != nil || p.String() != want {
			t.Errorf("%s gives %s, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "-", "1-", "-1", "080", "+1", "65536", "1-2-3", " 1"} {
		if p, err := ParsePorts(s); err == nil {
			t.Errorf("%q gives %s", s, p)
		}
	}
	for s, want := range map[string]string{
		"1.2.3.4": "1.2.3.4/32", "::1": "::1/128", "0.0.0.0/0": "0.0.0.0/0",
		"::ffff:1.2.3.4": "1.2.3.4/32", "::ffff:0:0/96": "0.0.0.0/0", "::ffff:10.0.0.0/104": "10.0.0.0/8", "::/64": "::/64",
	} {
		if p, err := ParsePrefix(s); err != nil || fmt.Sprint(p) != want {
			t.Errorf("%s gives %s, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "/", "/8", "1.2.3.4/", "1.2.3.4/08", "1.2.3.4/-1", "1.2.3.4/33", "::/129", "::ffff:1.2.3.4/95", "1.2.3", "01.2.3.4", "::1%lo"} {
		if p, err := ParsePrefix(s); err == nil {
			t.Errorf("%q gives %s", s, p)
		}
	}
}
