package profiles

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func adHocEnv() Env {
	return Env{
		Mounts: []Mount{{Device: 1, Root: "/", Point: "/"}}, Magic: DefaultMagic(), CharDevices: DefaultCharDevices(),
		Resolve: func(path string) (string, error) { // a machine with merged /usr
			for _, dir := range []string{"/lib64", "/lib", "/bin"} {
				if rest, ok := strings.CutPrefix(path, dir); ok && (rest == "" || rest[0] == '/') {
					return "/usr" + dir + rest, nil
				}
			}
			return path, nil
		},
	}
}

func rule(path string, access Access) FileRule {
	return FileRule{Path: path, Access: access, Place: Place{File: "command line"}}
}

const carried = Read | Exec | Map

// TestAdHocFilesBecomeAnAllowList has what a role of options gives, in the policy that the
// kernel gets: "exec mentioned" is -x.
func TestAdHocFilesBecomeAnAllowList(t *testing.T) {
	r, w, x := Read, Read|Write, Read|Exec|Map
	for _, c := range []struct {
		name  string
		rules []FileRule
		want  map[string]Access
	}{
		{"-r and -w carry exec while it is not mentioned", []FileRule{rule("/usr", r), rule("/srv/w", w)}, map[string]Access{
			"/usr/bin/make": carried, "/usr/lib/gcc/cc1": carried, "/srv/w/a": carried | Write,
			"/etc/passwd": Exec, "/etc/ld.so.cache": Read, "/dev/null": Read | Write,
		}},
		{"-x makes exec an allow-list", []FileRule{rule("/usr", r), rule("/opt/tool", x)}, map[string]Access{
			"/usr/bin/make": Read, "/usr/lib/libc.so.6": Read | Map, "/opt/tool": carried, "/opt/other": 0,
		}},
		{"runtime only adds", []FileRule{rule("/", w), rule("/opt/x", x)}, map[string]Access{
			"/usr/lib/libc.so.6": Read | Write | Map, "/dev/null": Read | Write, "/etc/ld.so.cache": Read | Write,
		}},
		{"the same path twice is both", []FileRule{rule("/a", w), rule("/a", x)}, map[string]Access{
			"/a/b": Read | Write | Exec | Map,
		}},
		{"a deny alone leaves the rest", []FileRule{rule("**/.env", 0)}, map[string]Access{
			"/srv/.env": 0, "/srv/.env/x": 0, "/srv/x": Read | Write | Exec | Map,
		}},
		{"a deny beats what is deeper, and runtime", []FileRule{rule("/usr", r), rule("/usr/share/x", r), rule("/usr/share", 0)}, map[string]Access{
			"/usr/share/x/y": 0, "/usr/share/locale/de": 0, "/usr/bin/ls": carried,
		}},
	} {
		role, err := (&AdHoc{Files: c.rules}).Alone(adHocEnv())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		p, err := role.Compile(adHocEnv())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for path, want := range c.want {
			if got, _ := p.Match(path); got != want {
				t.Errorf("%s: %s has %s, want %s", c.name, path, got, want)
			}
			if got, _, _ := p.EvalPath(path); got != want {
				t.Errorf("%s: tables: %s has %s, want %s", c.name, path, got, want)
			}
		}
	}
}

func TestAdHocNetworkBecomesAnAllowList(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	rules, err := ParseTarget("443", Connect, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		rules   AdHoc
		allowed string // of connect to 443 and 80, bind to 443
	}{
		{"nothing mentioned", AdHoc{Files: []FileRule{rule("/x", 0)}}, "true true true"},
		{"--connect 443", AdHoc{Network: rules}, "true false false"},
		{"--unix @x", AdHoc{Unix: []Text{{Value: "@x"}}}, "false false false"},
		{"--no-net", AdHoc{NoNet: true}, "false false false"},
		{"--dns", AdHoc{DNS: true}, "false false false"},
	} {
		role, err := c.rules.Alone(adHocEnv())
		if err != nil {
			t.Fatal(err)
		}
		p, err := role.Compile(adHocEnv())
		if err != nil {
			t.Fatal(err)
		}
		a, _ := p.Verdict(TCP, Connect, addr, 443)
		b, _ := p.Verdict(TCP, Connect, addr, 80)
		d, _ := p.Verdict(TCP, Bind, addr, 443)
		if got := fmt.Sprint(a, b, d); got != c.allowed {
			t.Errorf("%s: %s, want %s", c.name, got, c.allowed)
		}
		if closed := p.Families == alwaysOpen; closed != (c.name != "nothing mentioned") {
			t.Errorf("%s: families %#x", c.name, p.Families)
		}
	}
}

func TestAdHocRulesOnACopyLeaveTheRoleAlone(t *testing.T) {
	role, _ := Builtins().ByName("webserver")
	before := role.TOML()
	rules, err := ParseTarget("9000/udp", Bind, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := (&AdHoc{Files: []FileRule{rule("/srv", 0)}, Network: rules}).AddTo(role)
	if role.TOML() != before {
		t.Error("the role itself changed")
	}
	if c.Name != "webserver.adhoc" || len(c.Network) != len(role.Network)+1 || len(c.Files) != 1 || !c.Files[0].CommandLine {
		t.Errorf("copy: %s", c.TOML())
	}
	none := (&AdHoc{NoNet: true}).AddTo(role)
	if len(none.AllRules().Network) != 0 || none.Flags.Has(AllowNetwork) || len(none.Families) != 0 {
		t.Errorf("--no-net left network: %s", none.TOML())
	}
	if (&AdHoc{DNS: true}).AddTo(none).DNS != true || none.DNS {
		t.Error("--dns is not the copy's alone")
	}
	role.Name = strings.Repeat("n", MaxNameLength)
	if name := (&AdHoc{}).AddTo(role).Name; CheckName(name) != nil {
		t.Errorf("name %s: %v", name, CheckName(name))
	}
}

func TestAdHocDNSOpensTheResolversAndNothingElse(t *testing.T) {
	env := adHocEnv()
	env.Resolvers = []netip.Addr{netip.MustParseAddr("192.0.2.53")}
	role, err := (&AdHoc{DNS: true}).Alone(env)
	if err != nil {
		t.Fatal(err)
	}
	p, err := role.Compile(env)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to   string
		port uint16
		want bool
	}{{"192.0.2.53", 53, true}, {"192.0.2.53", 54, false}, {"192.0.2.54", 53, false}} {
		for _, protocol := range []Protocol{TCP, UDP} {
			if got, _ := p.Verdict(protocol, Connect, netip.MustParseAddr(c.to), c.port); got != c.want {
				t.Errorf("%v to %s port %d: %v", protocol, c.to, c.port, got)
			}
		}
	}
}

func TestAdHocRoleIsAProfile(t *testing.T) {
	rules, _ := ParseTarget("[2001:db8::]/32:80-90", Connect, nil)
	role, err := (&AdHoc{Files: []FileRule{rule("/usr", Read), rule("**/.env", 0)}, Network: rules}).Alone(adHocEnv())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("dry-run", []byte(role.TOML())); err != nil {
		t.Errorf("%v in\n%s", err, role.TOML())
	}
}

func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"80":                    `{ protocol = "tcp", direction = "connect", port = 80, allow = true }`,
		"80/udp":                `{ protocol = "udp", direction = "connect", port = 80, allow = true }`,
		"8000-8100/tcp":         `{ protocol = "tcp", direction = "connect", port = "8000-8100", allow = true }`,
		"10.0.0.0/8:443/udp":    `{ protocol = "udp", direction = "connect", port = 443, address = "10.0.0.0/8", allow = true }`,
		"[::1]:80":              `{ protocol = "tcp", direction = "connect", port = 80, address = "::1", allow = true }`,
		"[2001:db8::]/32:80":    `{ protocol = "tcp", direction = "connect", port = 80, address = "2001:db8::/32", allow = true }`,
		"[2001:db8::/32]:80":    `{ protocol = "tcp", direction = "connect", port = 80, address = "2001:db8::/32", allow = true }`,
		"[::ffff:192.0.2.1]:80": `{ protocol = "tcp", direction = "connect", port = 80, address = "192.0.2.1", allow = true }`,
	} {
		rules, err := ParseTarget(text, Connect, nil)
		if err != nil || len(rules) != 1 || rules[0].String() != want {
			t.Errorf("%s: %v, %v", text, rules, err)
		}
	}
	for _, text := range []string{
		"", ":", ":80", "80:", "http", "65536", "-1", "80-70", "0", "0-80", "80/sctp", "80/", "1.2.3.4", "::1", "[::1]",
		"::1:80", "[1.2.3.4]:80", "10.0.0.1/8:80", "10.0.0.0/33:80", "[fe80::1%eth0]:80", "example.com:80", " 80", "80 ", "+80",
	} {
		if rules, err := ParseTarget(text, Connect, nil); err == nil {
			t.Errorf("%q was taken as %v", text, rules)
		}
	}
	rules, err := ParseTarget("example.com:80", Connect, func(string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.2"), netip.MustParseAddr("2001:db8::1")}, nil
	})
	if err != nil || len(rules) != 3 || rules[1].Prefix.String() != "192.0.2.2/32" {
		t.Errorf("resolved: %v, %v", rules, err)
	}
}

// TestNoPlantTakesWritingAndNothingElse: it must not open what a role closes.
func TestNoPlantTakesWritingAndNothingElse(t *testing.T) {
	set, ok := Builtins().RuleSet("no-plant")
	if !ok {
		t.Fatal("no rule set no-plant")
	}
	for _, name := range []string{"restricted", "webserver", "worker"} {
		role, _ := Builtins().ByName(name)
		plain, err := role.Compile(adHocEnv())
		if err != nil {
			t.Fatal(err)
		}
		with := role.Clone()
		with.sets = nil
		with.AddSet(set)
		p, err := with.Compile(adHocEnv())
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/etc/cron.d/x", "/usr/bin/ls", "/home/u/.ssh/authorized_keys", "/etc/ld.so.preload", "/root/.bashrc"} {
			if got, rule := p.Match(path); rule == 0 || got != plain.defaultAccess()&^Write {
				t.Errorf("%s: %s has %s (rule %d), want %s", name, path, got, rule, plain.defaultAccess()&^Write)
			}
		}
		if got, rule := p.Match("/srv/data"); rule != 0 || got != plain.defaultAccess() {
			t.Errorf("%s: /srv/data has %s by rule %d", name, got, rule)
		}
	}
}

func TestHomeSecretsDenyInEveryHome(t *testing.T) {
	set, ok := Builtins().RuleSet("home-secrets")
	if !ok {
		t.Fatal("no rule set home-secrets")
	}
	role, _ := Builtins().ByName("isolated")
	role = role.Clone()
	role.AddSet(set)
	p, err := role.Compile(adHocEnv())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d states, %d bytes", p.FileStates, len(p.Tables))
	for path, want := range map[string]bool{
		"/home/u/.ssh/id_ed25519": false, "/root/.aws/credentials": false, "/srv/app/.env": false, "/u/.bash_history": false,
		"/home/u/.config/google-chrome/Default/Cookies": false, "/home/u/k.kdbx": false,
		"/home/u/.config/app": true, "/srv/app/.env.example": true, "/home/u/notes": true, "/etc/ssh/ssh_config": true,
	} {
		if got, _ := p.Match(path); (got&Read != 0) != want {
			t.Errorf("%s: readable %t, want %t", path, got&Read != 0, want)
		}
	}
	for _, name := range []string{"devtools", "tmp", "no-plant", "home-secrets", "runtime"} {
		if !slices.ContainsFunc(Builtins().RuleSets(), func(s *RuleSet) bool { return s.Name == name && s.Builtin }) {
			t.Errorf("no rule set %s", name)
		}
	}
}

// BenchmarkCompileTwentyOptions is what twenty options cost each start of a command.
func BenchmarkCompileTwentyOptions(b *testing.B) {
	a := &AdHoc{Files: []FileRule{rule("**/.env", 0), rule("**/id_rsa*", 0), rule("/srv/build/**/*.key", 0)}}
	for i := range 17 {
		a.Files = append(a.Files, rule(fmt.Sprintf("/srv/build/part-%d/src", i), Read|Access(i%2)*Write))
	}
	for b.Loop() {
		role, err := a.Alone(adHocEnv())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := role.Compile(adHocEnv()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCanonicalResolvesAndFillsIn(t *testing.T) {
	env := Env{
		Vars: map[string]string{"HOME": "/home/u*"},
		Resolve: func(name string) (string, error) {
			if rest, ok := strings.CutPrefix(name, "/lib"); ok {
				return "/usr/lib" + rest, nil
			}
			return name, nil
		},
	}
	for in, want := range map[string]string{
		"/lib/x":          "/usr/lib/x",
		"/lib/*/x":        "/usr/lib/*/x",
		`/lib/\*/x`:       `/usr/lib/\*/x`,
		"/lib":            "/usr/lib",
		"/":               "/",
		"**/.env":         "**/.env",
		"/*/x":            "/*/x",
		"${HOME}/lib":     `/home/u\*/lib`,
		"/a/${HOME}/**":   `/a/home/u\*/**`,
		`/a/\${HOME}`:     `/a/\${HOME}`,
		"/proc/self/maps": "/proc/self/maps",
	} {
		a := AdHoc{Files: []FileRule{{Path: in}}, Unix: []Text{{Value: "@lib"}}}
		c, err := a.Canonical(env)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := c.Files[0].Path; got != want || c.Unix[0].Value != "@lib" || a.Files[0].Path != in {
			t.Errorf("%s: %s %v, want %s", in, got, c.Unix, want)
		}
		if err := CheckPattern(c.Files[0].Path); err != nil {
			t.Error(err)
		}
	}
	if _, err := (&AdHoc{Files: []FileRule{{Path: "/${NONE}"}}}).Canonical(env); err == nil {
		t.Error("an unknown variable")
	}
}

func TestCheckRefusesWhatNoOptionMakes(t *testing.T) {
	place := Place{File: "command line: -r /x"}
	rule := NetworkRule{Ports: Ports{1, 2}, Allow: true, Place: place}
	masked, unmasked := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/8")
	with := func(change func(*NetworkRule)) *AdHoc {
		r := rule
		change(&r)
		return &AdHoc{Network: []NetworkRule{r}}
	}
	for _, good := range []*AdHoc{
		{DNS: true},
		{Files: []FileRule{{Path: "/x", Access: Read | Exec | Map, Place: place}, {Path: "**/x", Place: place}}},
		with(func(r *NetworkRule) { r.Prefix, r.Direction, r.Protocol = masked, Connect, UDP }),
		{Unix: []Text{{Value: "@x*", Place: place}}},
	} {
		if err := good.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []*AdHoc{
		{},
		{Files: []FileRule{{Path: "x", Place: place}}},
		{Files: []FileRule{{Path: "/x", Access: 16, Place: place}}},
		{Files: []FileRule{{Path: "/x", Without: Read, Place: place}}},
		{Files: []FileRule{{Path: "/x", CommandLine: true, Place: place}}},
		{Files: []FileRule{{Path: "/x"}}},
		{Files: []FileRule{{Path: "/x", Place: Place{File: place.File, Line: 1}}}},
		with(func(r *NetworkRule) { r.Allow = false }),
		with(func(r *NetworkRule) { r.Ports = Ports{2, 1} }),
		with(func(r *NetworkRule) { r.Protocol = 3 }),
		with(func(r *NetworkRule) { r.Direction = 3 }),
		with(func(r *NetworkRule) { r.Prefix = unmasked }),
		with(func(r *NetworkRule) { r.Prefix = netip.MustParsePrefix("::ffff:10.0.0.0/104") }),
		{Unix: []Text{{Value: "x", Place: place}}},
	} {
		if err := bad.Check(); err == nil {
			t.Errorf("%+v passed", bad)
		}
	}
}
