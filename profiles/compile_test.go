package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func roleOf(rules ...FileRule) *Role {
	r := &Role{ID: FirstUserID, Name: "files"}
	r.Files = rules
	return r
}

func mustCompile(t *testing.T, r *Role, env Env) *Policy {
	t.Helper()
	p, err := r.Compile(env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuiltinRolesKeepTheirContract(t *testing.T) {
	type row struct {
		id                   uint32
		name                 string
		files, network, exec bool
		ports                []uint16
		unix, open           bool
	}
	var got []row
	for _, r := range Builtins().Roles() {
		p := mustCompile(t, r, Env{Magic: DefaultMagic(), CharDevices: DefaultCharDevices()})
		c := row{
			id: r.ID, name: r.Name, files: r.Flags.Has(AllowFileAccess),
			network: r.Flags.Has(AllowNetwork), exec: r.Flags.Has(AllowExec),
			unix: slices.ContainsFunc(r.Unix, func(u Text) bool { return u.Value == "/run/systemd/notify" }),
			open: Flags(p.Flags).Has(OpenToAll),
		}
		for _, n := range r.Network {
			if n.Ports.First != n.Ports.Last || n.Protocol != AnyProtocol || n.Direction != BothDirections || n.Prefix.IsValid() || !n.Allow {
				t.Errorf("%s: rule %s", r.Name, n)
			}
			c.ports = append(c.ports, n.Ports.First)
		}
		got = append(got, c)
		permissive := r.Name == "permissive"
		if r.Flags.Has(AllowSetuid) != permissive || r.Flags.Has(AllowPtrace) != permissive {
			t.Errorf("%s: flags %b", r.Name, r.Flags)
		}
		if r.Flags.Has(AllowBPF) || r.Flags.Has(AllowModuleLoad) {
			t.Errorf("%s opens what self-protection closes", r.Name)
		}
		if all := p.Families == ^uint64(0) && p.Kinds == allKinds; all != permissive {
			t.Errorf("%s: families %x kinds %x", r.Name, p.Families, p.Kinds)
		}
		if !permissive && (p.Families != 1<<1|1<<2|1<<10|1<<16 || p.Kinds != 0) {
			t.Errorf("%s: families %x kinds %x", r.Name, p.Families, p.Kinds)
		}
		if want := "builtin/" + r.Name + ".toml"; r.Place.File != want || !r.Builtin {
			t.Errorf("%s is in %s, want %s", r.Name, r.Place.File, want)
		}
		if text, err := os.ReadFile(r.Place.File); err != nil || string(text) != r.Source {
			t.Errorf("%s: source differs from the file: %v", r.Name, err)
		}
		for key, at := range p.Defaults {
			if at.Line == 0 {
				t.Errorf("%s: %s has no line", r.Name, key)
			}
		}
	}
	want := []row{
		{1, "restricted", false, false, false, nil, false, true},
		{2, "permissive", true, true, true, nil, false, true},
		{3, "webserver", true, false, false, []uint16{80, 443, 8080}, true, true},
		{4, "database", true, false, false, []uint16{5432, 6379}, true, true},
		{5, "isolated", true, false, false, nil, false, true},
		{6, "web_with_db", true, false, false, []uint16{80, 443, 5432, 3306, 6379}, true, true},
		{7, "worker", true, false, true, []uint16{443, 5432, 6379, 5672}, true, true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestRestrictedLetsProgramsStart(t *testing.T) {
	r, _ := Builtins().ByName("restricted")
	p := mustCompile(t, r, Env{})
	for path, want := range map[string]Access{
		"/etc/passwd":                         0,
		"/":                                   0,
		"/home/u/.ssh/id":                     0,
		"/usr/bin/cat":                        0,
		"/lib64/ld-linux-x86-64.so.2":         Read | Map,
		"/lib/ld-musl-x86_64.so.1":            Read | Map,
		"/usr/lib/x86_64-linux-gnu/libc.so.6": Read | Map,
		"/usr/lib/locale/C.utf8/LC_CTYPE":     Read | Map,
		"/usr/lib/x86_64-linux-gnu/gconv/UTF-16.so":   Read | Map,
		"/etc/ld.so.cache":                            Read,
		"/etc/ld-musl-x86_64.path":                    Read,
		"/usr/share/zoneinfo/Europe/Berlin":           Read,
		"/proc/self/maps":                             Read,
		"/proc/1/maps":                                0,
		"/proc/sys/kernel/core_pattern":               0,
		"/sys/kernel/mm/transparent_hugepage/enabled": Read,
		"/dev/null":                                   Read | Write,
		"/dev/urandom":                                Read,
		"/dev/sda":                                    0,
	} {
		if got, _, _ := p.EvalPath(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestPolicyNamesItsRules(t *testing.T) {
	p, err := Parse("api.toml", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewSet(p)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := set.ByName("api")
	policy := mustCompile(t, r, Env{Vars: map[string]string{"HOME": "/home/u"}})
	access, rule := policy.Match("/srv/a/pub/x")
	want := Rule{FileRules, "api.toml:29", `{ path = "/srv/*/pub", access = "rw" }`}
	if access != Read|Write || policy.Rules[rule] != want {
		t.Errorf("got %s by %v", access, policy.Rules[rule])
	}
	var places []string
	for _, r := range policy.Rules {
		if r.Kind != FileRules && r.Kind != "" {
			places = append(places, r.Place+" "+r.Text)
		}
	}
	wantPlaces := []string{
		`api.toml:37 { protocol = "tcp", direction = "connect", port = "8000-8100", address = "127.0.0.0/8", allow = true }`,
		`api.toml:40 { address = "::1", allow = false }`,
		`api.toml:53 { direction = "bind", port = 0, allow = true }`,
		`api.toml:18 { protocol = "udp", direction = "bind", port = 0, allow = true }`, // dns = true
		`api.toml:23 "/run/x.sock"`, `api.toml:23 "@name*"`, `api.toml:48 "@x"`,
	}
	if !slices.Equal(places, wantPlaces) {
		t.Errorf("got %q", places)
	}
	if got := policy.Defaults["allow_network"].String(); got != "api.toml:6" {
		t.Errorf("allow_network is decided at %s", got)
	}
	if f := Flags(policy.Flags); !f.Has(ModePermissive|OpenToAll|RequireSignature) || f.Has(AllowNetwork) || f.Has(AllowJIT) {
		t.Errorf("flags %b", f)
	}
	if policy.Families>>40&1 == 0 || policy.Kinds != kindRaw {
		t.Errorf("families %x kinds %x", policy.Families, policy.Kinds)
	}
}

func TestNoFileRulesNoAutomaton(t *testing.T) {
	p := mustCompile(t, &Role{ID: 100, Name: "x", Flags: AllowExec}, Env{Mounts: []Mount{{1, "/", "/"}}})
	if p.FileStates != 0 {
		t.Errorf("got %+v", p)
	}
	if access, _, _ := p.EvalPath("/x"); access != Exec {
		t.Errorf("got %s", access)
	}
}

func TestVariablesAreLiteral(t *testing.T) {
	env := Env{Vars: map[string]string{"HOME": "/home/*/", "X": "a", "E": "", "D": "..", "R": "rel", "N": "a\x00"}}
	p := mustCompile(t, roleOf(
		FileRule{Path: "${HOME}/x", Access: Read},
		FileRule{Path: "/v/${X}b?", Access: Write},
		FileRule{Path: `/v/\${X}`, Access: Map},
	), env)
	for path, want := range map[string]Access{
		"/home/*/x": Read, "/home/u/x": 0, "/v/abc": Write, "/v/${X}": Map,
	} {
		if got, _, _ := p.EvalPath(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	for path, want := range map[string]string{
		"/${Y}":        "unknown variable ${Y}",
		"/${E}/x":      "variable ${E} is empty",
		"/a/${D}":      `has a component ".."`,
		"${R}/x":       "is relative once its variables are filled in",
		"/${N}":        "has a NUL byte",
		"/a/${R}/../b": `has a component ".."`,
	} {
		_, err := roleOf(FileRule{Path: path, Place: Place{"x.toml", 3, 1}}).Compile(env)
		if err == nil || !strings.HasPrefix(err.Error(), "x.toml:3:1: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %s", path, err, want)
		}
	}
}

func TestLiteralPrefixIsResolved(t *testing.T) {
	var asked []string
	env := Env{Resolve: func(path string) (string, error) {
		asked = append(asked, path)
		switch {
		case path == "/bad":
			return "", errors.New("no such thing")
		case path == "/star":
			return "/a*b", nil
		}
		return strings.Replace(path, "/lib", "/usr/lib", 1), nil
	}}
	p := mustCompile(t, roleOf(
		FileRule{Path: "/lib/x/*.so", Access: Read},
		FileRule{Path: "/lib", Access: Map},
		FileRule{Path: "/proc/self/fd", Access: Write},
		FileRule{Path: "**/lib", Access: Write},
		FileRule{Path: "/star/?", Access: Write},
	), env)
	if want := []string{"/lib/x", "/lib", "/star", EnrollmentSocket}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	for path, want := range map[string]Access{
		"/usr/lib/x/a.so": Read, "/usr/lib/y": Map, "/proc/self/fd/1": Write, "/lib": Write, "/a*b/c": Write, "/axb/c": 0,
	} {
		if got, _, _ := p.EvalPath(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if _, err := roleOf(FileRule{Path: "/bad/*"}).Compile(env); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %v", err)
	}
}

func TestQuotedPathsMatchThemselvesOnly(t *testing.T) {
	for _, path := range []string{"/a*b", `/a\b`, "/a[b]c", "/a?", "/${HOME}", "/$", "/a\xffb", "/é", "/a\nb", "/a!^-]"} {
		quoted := QuotePattern(path)
		p := mustCompile(t, roleOf(FileRule{Path: quoted, Access: Read}), Env{})
		if got, _, _ := p.EvalPath(path); got != Read {
			t.Errorf("%q as %q does not match itself", path, quoted)
		}
		for _, other := range []string{"/ab", "/aXb", "/abc", "/ax", "/root"} {
			if got, _, _ := p.EvalPath(other); got != 0 {
				t.Errorf("%q matches %q", quoted, other)
			}
		}
	}
}

// cpuTime is what this process has used; the machine's other load does not count.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func TestPatternsThatMultiplyFailFast(t *testing.T) {
	many := func(n int, format string) (rules []FileRule) {
		for i := range n {
			rules = append(rules, FileRule{Path: fmt.Sprintf(format, i), Access: Access(i % 4), Place: Place{"x.toml", i + 1, 1}})
		}
		return rules
	}
	for _, rules := range [][]FileRule{
		many(1, "/**/*a????????????????????????b%d"),
		many(30, "/**a%d**b**c**d**e**f"),
		many(1000, "**/a%d/**/b%[1]d/**/c"),
		many(1000, "/**/*%d???????????????????x*"),
		many(2000, "/"+strings.Repeat("**a*?", 100)+"%d"),
		many(20000, "/srv/%d/a/long/path/of/its/own/for/each/rule"),
	} {
		start := cpuTime(t)
		_, err := roleOf(rules...).Compile(Env{})
		if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "costliest: x.toml:") {
			t.Errorf("%s and %d more: %v", rules[0].Path, len(rules)-1, err)
		}
		if d := cpuTime(t) - start; d > slack*time.Second {
			t.Errorf("%s and %d more took %v", rules[0].Path, len(rules)-1, d)
		}
	}
}

func TestManyRulesCompileQuickly(t *testing.T) {
	role := roleOf()
	for i := range 1000 {
		role.Files = append(role.Files, FileRule{Path: fmt.Sprintf("/srv/app/tenant-%d/*/public", i), Access: Read})
	}
	start := cpuTime(t)
	mustCompile(t, role, Env{})
	small := role.Clone()
	small.Files = small.Files[:50]
	for range 200 {
		mustCompile(t, small, Env{})
	}
	// 0.5 s and 2 s are promised, a tenth of it is used.
	if d := cpuTime(t) - start; d > slack*2500*time.Millisecond {
		t.Errorf("took %v", d)
	}
}

func TestRuleIsLetGoRatherThanRefused(t *testing.T) {
	role := roleOf(FileRule{Path: "/srv", Access: Read | Write})
	for i := range 600 {
		role.Files = append(role.Files, FileRule{Path: fmt.Sprintf("**/.name%d", i)})
	}
	p := mustCompile(t, role, Env{})
	for path, wantRule := range map[string]uint32{
		"/srv": 1, "/srv/x": 0, "/srv/.name7": 9, "/srv/.name7/x": 0, "/srv/.name7/.name8": 10,
	} {
		want, decider := p.Match(path)
		got, rule, matched := p.EvalPath(path)
		if got != want || !matched || rule != wantRule || rule != 0 && rule != decider {
			t.Errorf("%s: got %s by %d, definition %s by %d", path, got, rule, want, decider)
		}
	}
}

func TestLettingRulesGoKeepsAccess(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	pieces := []string{"/a", "/b", "/*", "/**", "/a?", "/**b", "/a**c/a", "/[ab]"}
	for range 200 {
		var files []fileMatcher
		p := &Policy{}
		for i := range 1 + r.IntN(6) {
			text := pieces[r.IntN(8)] + pieces[r.IntN(8)] + pieces[r.IntN(8)]
			pt, err := compilePattern(text, &Env{})
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, fileMatcher{pt, Access(r.IntN(16)), r.IntN(3) == 0, uint32(i + 1)})
		}
		p.files = files
		joined, _ := join(files)
		a, ok := determinize(joined, files, nil, false)
		if !ok {
			t.Fatal("too large")
		}
		a = a.minimize()
		g := newGraph(a)
		for range 50 {
			path := ""
			for range r.IntN(6) {
				path += []string{"/a", "/b", "/c", "/ab", "/aa", "/xb"}[r.IntN(6)]
			}
			want, rule := p.Match(path)
			word := g.accept[g.after(path)]
			if (rule != 0) != (Access(word)&Matched != 0) || rule != 0 && Access(word)&^Matched != want {
				t.Fatalf("%s: got %#x, want %s by rule %d", path, word, want, rule)
			}
		}
	}
}

func TestEquivalentStatesAreMerged(t *testing.T) {
	// One chain for the shared tail would be one state a byte; tails of different rules
	// with one number are the same states.
	var files []fileMatcher
	for _, text := range []string{"/a/tail", "/b/tail", "/c/tail"} {
		pt, err := compilePattern(text, &Env{})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, fileMatcher{pattern: pt, access: Read, number: 1})
	}
	joined, _ := join(files)
	a, _ := determinize(joined, files, nil, true)
	// "", "/", "/a", "/a/", t, ta, tai, tail (also what is beneath), and no match.
	if m := a.minimize(); len(m.accept) != 10 {
		t.Errorf("%d states, before merging %d", len(m.accept), len(a.accept))
	}
}

func TestCompilingIsDeterministic(t *testing.T) {
	r, _ := Builtins().ByName("restricted")
	r = r.Clone()
	r.Network = append(r.Network, NetworkRule{Ports: Ports{1, 9}, Prefix: prefix("10.0.0.0/8")}, NetworkRule{Ports: AllPorts})
	env := Env{
		Mounts: []Mount{{1, "/@", "/"}, {2, "/", "/home"}},
		Magic:  DefaultMagic(), CharDevices: DefaultCharDevices(),
	}
	a := mustCompile(t, r, env)
	for range 5 {
		b := mustCompile(t, r, env)
		if !bytes.Equal(a.Tables, b.Tables) || !slices.Equal(a.Starts, b.Starts) {
			t.Fatal("two compilations differ")
		}
	}
	if len(a.Tables)%PageBytes != 0 {
		t.Errorf("%d bytes are no whole pages", len(a.Tables))
	}
	if a.FileClassAt%256 != 0 || a.FileNextAt%2 != 0 || a.FileAcceptAt%4 != 0 {
		t.Errorf("tables at %d, %d, %d", a.FileClassAt, a.FileNextAt, a.FileAcceptAt)
	}
}

func TestStateNowhereIsAbsorbing(t *testing.T) {
	p := mustCompile(t, roleOf(FileRule{Path: "/", Access: Read}), Env{})
	if s := p.Walk(0, "/a/b"); s != 0 {
		t.Errorf("leads to %d", s)
	}
	if p.word(p.FileAcceptAt) != 0 {
		t.Error("accepts")
	}
}

func TestCloneIsPrivate(t *testing.T) {
	r, _ := Builtins().ByName("worker")
	c := r.Clone()
	c.Network[0].Allow = false
	c.Files = append(c.Files, FileRule{Path: "/", Access: Read})
	set, _ := Builtins().RuleSet("runtime")
	c.AddSet(set)
	c.AddSet(set)
	if !r.Network[0].Allow || len(r.Files) > 0 || len(r.Sets()) > 0 {
		t.Error("the original changed")
	}
	if len(c.Sets()) != 1 || len(c.AllRules().Files) != 1+len(set.Files) {
		t.Errorf("the copy has %d sets and %d rules", len(c.Sets()), len(c.AllRules().Files))
	}
}

// TestConstantsAreThoseOfTheABI reads the header: this package imports no other.
func TestConstantsAreThoseOfTheABI(t *testing.T) {
	header, err := os.ReadFile("../bpf/abi.h")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{
		"NAME_SIZE": MaxNameLength + 1, "PAGE_BYTES": PageBytes, "TABLE_PAGES": TablePages,
		"ALLOW_FILE_ACCESS": uint64(AllowFileAccess), "ALLOW_NETWORK": uint64(AllowNetwork),
		"ALLOW_EXEC": uint64(AllowExec), "ALLOW_SETUID": uint64(AllowSetuid), "ALLOW_PTRACE": uint64(AllowPtrace),
		"ALLOW_USERNS": uint64(AllowUserns), "ALLOW_MOUNT": uint64(AllowMount), "ALLOW_CHROOT": uint64(AllowChroot),
		"ALLOW_BPF": uint64(AllowBPF), "ALLOW_MODULE_LOAD": uint64(AllowModuleLoad),
		"ALLOW_MEMFD_EXEC": uint64(AllowMemfdExec), "ALLOW_JIT": uint64(AllowJIT),
		"REQUIRE_SIGNATURE": uint64(RequireSignature), "MODE_PERMISSIVE": uint64(ModePermissive), "OPEN_TO_ALL": uint64(OpenToAll),
		"KIND_RAW": uint64(kindRaw), "KIND_ICMP": uint64(kindICMP), "KIND_SCTP": uint64(kindSCTP), "KIND_DCCP": uint64(kindDCCP),
		"KIND_UDPLITE": uint64(kindUDPLite), "KIND_NETLINK": uint64(kindNetlink), "KIND_OTHER": uint64(kindOther),
		"ACCESS_READ": uint64(Read), "ACCESS_WRITE": uint64(Write), "ACCESS_EXEC": uint64(Exec), "ACCESS_MAP": uint64(Map),
		"ACCESS_MATCHED": uint64(Matched), "STATE_NOWHERE": 0,
		"START_DEVICE": uint64(StartDevice), "START_MAGIC": uint64(StartMagic), "START_CHARDEV": uint64(StartCharDevice),
		"TCP_BIND": 0, "TCP_CONNECT": 1, "UDP_BIND": 2, "UDP_CONNECT": 3, "PORT_LISTS": uint64(len(portLists)),
		"PORT_NONE": portNone, "PORT_ALLOW": portAllow, "PORT_DENY": portDeny,
	}
	value := regexp.MustCompile(`(?m)^\s*([A-Z_0-9]+) = (1U? << )?(\d+),`)
	for _, m := range value.FindAllStringSubmatch(string(header), -1) {
		n, _ := strconv.ParseUint(m[3], 10, 32)
		if m[2] != "" {
			n = 1 << n
		}
		if w, ok := want[m[1]]; ok && w != n {
			t.Errorf("%s is %d here, %d in the header", m[1], w, n)
		}
		delete(want, m[1])
	}
	if len(want) > 0 {
		t.Errorf("not in the header: %v", want)
	}
}
