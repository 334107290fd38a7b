package profiles

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func compileUnixRules(t *testing.T, flags Flags, rules ...string) *Policy {
	t.Helper()
	r := &Role{ID: FirstUserID, Name: "unix", Flags: flags}
	for _, s := range rules {
		r.Unix = append(r.Unix, Text{Value: s})
	}
	return mustCompile(t, r, Env{})
}

func TestUnixSocketsByPathAndName(t *testing.T) {
	p := compileUnixRules(t, 0, "/run/app/*.sock", "/run/dir", "@exact", "@app-*", "@*.ok", "@a?[xy]")
	for name, want := range map[string]bool{
		"/run/app/a.sock": true, "/run/app/.sock": true, "/run/app/a/b.sock": false, "/run/app/a.sock.old": false,
		"/run/dir/deep/x": true, "/run/dirt": false, "/run/docker.sock": false, "/": false,
		"@exact": true, "@exact2": false, "@exac": false, "@exact/more": false, "@": false, "@app-": true,
		"@app-1/2\x00\xff": true, "@x/y.ok": true, "@x.okay": false, "@azx": true, "@azz": false, "/exact": false,
	} {
		if got, _ := p.EvalUnix(name, true); got != want {
			t.Errorf("%q: got %t", name, got)
		}
		if got := p.MatchUnix(name, true); got != want {
			t.Errorf("%q: the definition gives %t", name, got)
		}
	}
	if _, rule := p.EvalUnix("@app-1", false); p.Rules[rule].Text != `"@app-*"` {
		t.Errorf("decided by %v", p.Rules[rule])
	}
}

func TestEnrollmentSocketIsOpenToEveryRoleIfRootOwnsIt(t *testing.T) {
	for _, rules := range [][]string{nil, {"/run/**"}, {EnrollmentSocket}, {"@x"}} {
		p := compileUnixRules(t, 0, rules...)
		if ok, _ := p.EvalUnix(EnrollmentSocket, true); !ok {
			t.Errorf("%q: closed", rules)
		}
		if ok, _ := p.EvalUnix(EnrollmentSocket, false); ok {
			t.Errorf("%q: open though another owns it", rules)
		}
		if ok, _ := p.EvalUnix(EnrollmentSocket+".d", true); ok != (len(rules) > 0 && rules[0] == "/run/**") {
			t.Errorf("%q: a sibling gets %t", rules, ok)
		}
	}
}

func TestRolesWithTheNetworkReachEverySocket(t *testing.T) {
	p := compileUnixRules(t, AllowNetwork, "/run/x")
	for _, name := range []string{"/run/docker.sock", "@any"} {
		if ok, _ := p.EvalUnix(name, false); !ok {
			t.Errorf("%s is closed", name)
		}
	}
}

// A seal lets a loaded policy lose flags, and nothing else of it changes.
func TestTablesDoNotDependOnMostFlags(t *testing.T) {
	compile := func(flags Flags) *Policy {
		r := &Role{ID: FirstUserID, Name: "x", Flags: flags}
		r.Unix = []Text{{Value: "/run/x"}, {Value: "@y"}}
		r.Files = []FileRule{{Path: "/srv/**"}, {Path: "/home/*", Access: Read}}
		return mustCompile(t, r, Env{})
	}
	without := compile(0)
	for _, f := range flagNames {
		if f.flag == AllowFileAccess || f.flag == AllowExec {
			continue // what paths beneath a directory grant goes by them
		}
		if with := compile(f.flag); !bytes.Equal(with.Tables, without.Tables) || with.FileStates != without.FileStates || with.UnixStates != without.UnixStates {
			t.Errorf("%s changes the tables", f.name)
		}
	}
}

func TestDNSOpensTheResolversAndNothingElse(t *testing.T) {
	r := &Role{ID: FirstUserID, Name: "dns", DNS: true}
	p := mustCompile(t, r, Env{
		Resolvers:       []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("fe80::1%eth0")},
		ResolverSockets: []string{"/run/nscd/socket"},
	})
	for _, c := range []struct {
		protocol  Protocol
		direction Direction
		addr      string
		port      uint16
		want      bool
	}{
		{UDP, Connect, "192.0.2.53", 53, true},
		{TCP, Connect, "192.0.2.53", 53, true},
		{UDP, Connect, "::ffff:192.0.2.53", 53, true},
		{UDP, Connect, "fe80::1", 53, true},
		{UDP, Connect, "192.0.2.54", 53, false},
		{UDP, Connect, "192.0.2.53", 54, false},
		{UDP, Bind, "192.0.2.53", 53, false},
		{UDP, Bind, "0.0.0.0", 53, false},
		{UDP, Bind, "0.0.0.0", 0, true},
		{TCP, Bind, "0.0.0.0", 0, false},
	} {
		addr := netip.MustParseAddr(c.addr)
		if got, _ := p.EvalNetwork(c.protocol, c.direction, addr, c.port); got != c.want {
			t.Errorf("%s %s %s %d: got %t", c.protocol, c.direction, c.addr, c.port, got)
		}
		sameNetVerdict(t, p, c.protocol, c.direction, addr.WithZone(""), c.port)
	}
	if ok, _ := p.EvalUnix("/run/nscd/socket", false); !ok {
		t.Error("the local resolver is closed")
	}
	if ok, _ := p.EvalUnix("/run/nscd/other", false); ok {
		t.Error("another socket is open")
	}
}

func TestWildcardBindIsRefusedWhereOneAddressIs(t *testing.T) {
	p := compileNetworkRules(t, AllowNetwork,
		NetworkRule{Prefix: prefix("127.0.0.0/8"), Ports: Ports{9000, 9010}},              // 1
		NetworkRule{Prefix: prefix("127.0.0.0/8"), Ports: Ports{9005, 9005}, Allow: true}, // 2
		NetworkRule{Prefix: prefix("10.0.0.0/8"), Ports: AllPorts},                        // 3: peers
		NetworkRule{Prefix: prefix("::1"), Ports: Ports{70, 70}, Direction: Bind},         // 4
		NetworkRule{Prefix: prefix("::1"), Ports: Ports{71, 71}, Direction: Connect},      // 5
		NetworkRule{Prefix: prefix("0.0.0.0"), Ports: Ports{9000, 9000}, Allow: true},     // 6
	)
	for _, c := range []struct {
		addr string
		port uint16
		want bool
	}{
		{"0.0.0.0", 9000, false},
		{"0.0.0.0", 9005, true},
		{"::", 9010, false},
		{"0.0.0.0", 9011, true},
		{"0.0.0.0", 70, true},
		{"::", 70, false},
		{"::", 71, true},
		{"192.0.2.1", 9000, true},
		{"10.1.1.1", 80, false},
	} {
		addr := netip.MustParseAddr(c.addr)
		if got, rule := p.EvalNetwork(TCP, Bind, addr, c.port); got != c.want {
			t.Errorf("bind %s %d: got %t by rule %d", c.addr, c.port, got, rule)
		}
		sameNetVerdict(t, p, TCP, Bind, addr, c.port)
	}
}

// randomUnix makes rules and questions from a source, so that they meet often.
func randomUnix(next func(n int) int) (rules []string, ask func() string) {
	text := func(letters []string, most int) string {
		var b strings.Builder
		for range next(most) {
			b.WriteString(letters[next(len(letters))])
		}
		return b.String()
	}
	for range next(6) {
		start := []string{"/", "@", "/run/bpfjailer/"}[next(3)]
		rule := start + text([]string{"a", "b", "/", "*", "?", "[ab]", "**", "enrollment.sock"}, 6)
		if checkUnix(rule) == nil {
			rules = append(rules, rule)
		}
	}
	return rules, func() string {
		switch next(5) {
		case 0, 1:
			return "@" + text([]string{"a", "b", "/", "c"}, 6)
		case 2:
			return EnrollmentSocket
		}
		name := "/" + strings.Trim(text([]string{"a", "b", "/a", "/run"}, 6), "/")
		return name
	}
}

func sameUnixVerdict(t *testing.T, p *Policy, rules []string, name string) {
	t.Helper()
	for _, ofRoot := range []bool{false, true} {
		if name == EnrollmentSocket && !ofRoot {
			continue // which rule is the more specific one: a test of its own
		}
		got, _ := p.EvalUnix(name, ofRoot)
		if want := p.MatchUnix(name, ofRoot); got != want {
			t.Errorf("%q under %q, of root %t: tables give %t, definition %t", name, rules, ofRoot, got, want)
		}
	}
}

func TestUnixTablesAgreeWithDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 500 {
		rules, ask := randomUnix(r.IntN)
		p := compileUnixRules(t, 0, rules...)
		for range 40 {
			sameUnixVerdict(t, p, rules, ask())
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// FuzzUnix compares the tables with the definition.
func FuzzUnix(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 500 {
			return
		}
		next := draw(data)
		rules, ask := randomUnix(next)
		p := compileUnixRules(t, 0, rules...)
		for range 20 {
			sameUnixVerdict(t, p, rules, ask())
		}
	})
}
