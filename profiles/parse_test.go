package profiles

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// example is the profile of the format's description, with every key.
const example = `# one file may hold several roles
[roles.api]
id = 101
mode = "permissive"
include = ["runtime", "mine"]
allow_network = false
allow_file_access = true
allow_exec = true
allow_setuid = true
allow_ptrace = true
allow_userns = true
allow_mount = true
allow_chroot = true
allow_bpf = true
allow_module_load = true
allow_memfd_exec = true
allow_jit = false
dns = true
require_signature = true
allow_userfaultfd = true
allow_keys = true
families = ["vsock", "raw"]
unix = ["/run/x.sock", "@name*"]
users = ["*", "alice"]
groups = ["1000"]
devices = ["/dev/kvm"]
capabilities = ["net_admin", "sys_time"]
[[roles.api.files]]
path = "/srv/*/pub"
access = "rw"
[[roles.api.files]]
deny = true
path = '**/.env'
[[roles.api.network]]
protocol = "tcp"
direction = "connect"
port = "8000-8100"
address = "127.0.0.0/8"
allow = true
[[roles.api.network]]
address = "::1"
allow = false

[roles."v.2"]
id = 0x66

[rulesets.mine]
unix = ["@x"]
[[rulesets.mine.files]]
path = "${HOME}/.cache"
access = "rwxm"
[[rulesets.mine.network]]
port = 0
direction = "bind"
allow = true
`

func TestEveryKeyParses(t *testing.T) {
	p, err := Parse("api.toml", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	r := p.Roles[0]
	if r.ID != 101 || !r.Permissive || !r.DNS || len(r.Files) != 2 || len(r.Network) != 2 || r.Files[1].Access != 0 {
		t.Errorf("got %+v", r)
	}
	all := Flags(0)
	for _, f := range flagNames {
		all |= f.flag
	}
	if want := all &^ (AllowNetwork | AllowJIT); r.Flags != want {
		t.Errorf("flags %b, want %b", r.Flags, want)
	}
	if p.Roles[1].Flags != AllowJIT {
		t.Errorf("flags of a role without any are %b", p.Roles[1].Flags)
	}
	if _, err := NewSet(p); err != nil {
		t.Error(err)
	}
}

func TestPlacesAreThoseOfKeys(t *testing.T) {
	p, err := Parse("api.toml", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	r := p.Roles[0]
	for _, c := range []struct {
		what string
		at   Place
		want string
	}{
		{"role", r.Place, "api.toml:2"},
		{"flag", r.KeyPlace("allow_network"), "api.toml:6"},
		{"flag that is not written", p.Roles[1].KeyPlace("allow_network"), "api.toml:44"},
		{"file rule", r.Files[0].Place, "api.toml:29"},
		{"file rule with the path last", r.Files[1].Place, "api.toml:33"},
		{"network rule", r.Network[0].Place, "api.toml:37"},
		{"network rule without a port", r.Network[1].Place, "api.toml:40"},
		{"unix", r.Unix[1].Place, "api.toml:23"},
		{"rule set", p.RuleSets[0].Place, "api.toml:47"},
	} {
		if c.at.String() != c.want {
			t.Errorf("%s is at %s, want %s", c.what, c.at, c.want)
		}
	}
}

func TestMistakesAreRefused(t *testing.T) {
	role := func(s string) string { return "[roles.a]\nid = 100\n" + s }
	file := func(s string) string { return role("[[roles.a.files]]\n" + s) }
	network := func(s string) string { return role("[[roles.a.network]]\n" + s) }
	long := strings.Repeat("x", 32)
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", role("allow_netwrk = true"), `x.toml:3:1: unknown key "allow_netwrk" in a role (did you mean "allow_network"?)`},
		{"key in the wrong case", "[roles.a]\nId = 100", `x.toml:2:1: unknown key "Id" in a role (did you mean "id"?)`},
		{"unknown table", "[role.a]\nid = 100", `x.toml:1:2: unknown key "role" in a profile (did you mean "roles"?)`},
		{"unknown key of a file rule", file("path = '/'\naccess = 'r'\nmode = 1"), `unknown key "mode" in a file rule`},
		{"unknown key of a network rule", network("ports = 1\nallow = true"), `unknown key "ports" in a network rule (did you mean "port"?)`},
		{"unknown key of a rule set", "[rulesets.x]\ninclude = ['y']", `x.toml:2:1: unknown key "include" in a rule set`},
		{"key twice", role("id = 101"), `x.toml:3:1: key "id" is already defined at x.toml:2`},
		{"keys that differ in case", role("ID = 101"), `x.toml:3:1: key "ID" differs only in case from "id" at x.toml:2`},
		{"roles that differ in case", role("[roles.A]\nid=101"), `x.toml:3:8: key "A" differs only in case from "a" at x.toml:1`},
		{"table twice", role("[roles.a]"), `x.toml:3:8: key "a" is already defined at x.toml:1`},
		{"dotted key into a header's table", role("[roles]\na.mode='enforce'"), `x.toml:4:1: key "a" is already defined at x.toml:1`},
		{"inline table extended", "roles = {a = {id = 100}}\n[roles.b]\nid = 101", `x.toml:2:2: key "roles" is a value already, at x.toml:1`},
		{"string for a boolean", role("allow_exec = 'yes'"), `x.toml:3:14: allow_exec: expected true or false, not the string "yes"`},
		{"integer for a boolean", role("allow_exec = 1"), `allow_exec: expected true or false, not the integer 1`},
		{"integer for a string", role("mode = 1"), `x.toml:3:8: mode: expected a string, not the integer 1`},
		{"date for a string", role("mode = 2020-01-01"), `mode: expected a string, not the date 2020-01-01`},
		{"string for an integer", "[roles.a]\nid = '100'", `x.toml:2:6: id: expected an integer, not the string "100"`},
		{"float for an integer", "[roles.a]\nid = 100.0", `id: expected an integer, not the number 100.0`},
		{"string for an array", role("unix = '/run/x'"), `unix: expected an array of strings, not the string "/run/x"`},
		{"integer in an array", role("unix = [\n'/run/x',\n5]"), `x.toml:5:1: unix: expected a string, not the integer 5`},
		{"listed twice", role("unix = ['/x', '/x']"), `x.toml:3:15: unix: "/x" is listed twice`},
		{"table for an array of tables", role("[roles.a.files]\npath='/'"), `x.toml:3:10: files: expected an array of tables [[roles.a.files]], not a table`},
		{"string for an array of tables", role("files = '/'"), `files: expected an array of tables [[roles.a.files]], not the string "/"`},
		{"array of strings for tables", role("files = ['/']"), `files: expected an array of tables [[roles.a.files]], not the string "/"`},
		{"array of tables for a role", "[[roles.a]]\nid = 100", `x.toml:1:9: "a": expected a table [roles.NAME], not an array of tables`},
		{"array of tables for roles", "[[roles]]\nid = 100", `roles: expected tables [roles.NAME], not an array of tables`},
		{"array of tables for strings", role("[[roles.a.unix]]"), `unix: expected an array of strings, not an array of tables`},
		{"value for a role", "[roles]\na = 1", `"a": expected a table [roles.NAME], not the integer 1`},

		{"no id", "[roles.a]", `x.toml:1:8: role "a" has no id: expected id = 100 or more`},
		{"id 0", "[roles.a]\nid = 0", `x.toml:2:6: id 0 is out of range: expected 100 to 2147483647`},
		{"id negative", "[roles.a]\nid = -5", `id -5 is out of range`},
		{"id beyond 32 bits", "[roles.a]\nid = 4294967296", `id 4294967296 is out of range`},
		{"id beyond 64 bits", "[roles.a]\nid = 99999999999999999999", `id: integer 99999999999999999999 is out of range`},
		{"id of a built-in", "[roles.a]\nid = 99", `x.toml:2:1: id 99 of role "a" belongs to the built-in roles: expected 100 or more`},
		{"id twice", role("[roles.b]\nid = 100"), `x.toml:4:1: id 100 of role "b" is taken by role "a" at x.toml:2`},
		{"name of a built-in", "[roles.worker]\nid = 100", `x.toml:1:8: role name "worker" is taken by "worker" at builtin/worker.toml:`},
		{"name of a built-in in another case", "[roles.Worker]\nid = 100", `role name "Worker" is taken by "worker"`},
		{"name of a built-in rule set", "[rulesets.runtime]", `rule set name "runtime" is taken by "runtime" at builtin/runtime.toml:`},
		{"name empty", "[roles.'']\nid = 100", `role name is empty`},
		{"name with a slash", "[roles.'a/b']\nid = 100", `x.toml:1:8: role name "a/b": expected letters, digits, dots, dashes and underscores`},
		{"name beyond ASCII", "[roles.'é']\nid = 100", `expected letters, digits`},
		{"name with a dash first", "[roles.-a]\nid = 100", `role name "-a" starts with "-"`},
		{"name with a dot first", "[roles.'.a']\nid = 100", `role name ".a" starts with "."`},
		{"name too long", "[roles." + long + "]\nid = 100", `role name "` + long + `" is longer than 31 bytes`},
		{"unknown mode", role("mode = 'enforced'"), `x.toml:3:8: mode: unknown value "enforced": expected enforce, permissive (did you mean "enforce"?)`},
		{"unknown family", role("families = ['vsok']"), `x.toml:3:13: families: unknown socket family "vsok" (did you mean "vsock"?)`},
		{"user with a space", role("users = ['a b']"), `users: "a b" is not the name or number of an account`},

		{"no path", file("access = 'r'"), `x.toml:3:11: file rule has no path`},
		{"neither access nor deny", file("path = '/'"), `x.toml:4:1: file rule says neither access nor deny`},
		{"both access and deny", file("path = '/'\naccess = 'r'\ndeny = true"), `x.toml:6:1: file rule says both access and deny`},
		{"deny = false", file("path = '/'\ndeny = false"), `x.toml:5:8: deny must be true`},
		{"unknown access", file("path = '/'\naccess = 'rq'"), `x.toml:5:10: access: unknown access "q" in "rq": expected some of the letters r, w, x and m`},
		{"access in capitals", file("path = '/'\naccess = 'R'"), `unknown access "R"`},
		{"access twice", file("path = '/'\naccess = 'rr'"), `access: access "rr" names "r" twice`},
		{"access empty", file("path = '/'\naccess = ''"), `to deny, write deny = true`},
		{"path relative", file("path = 'srv'\naccess = 'r'"), `x.toml:4:8: path: path "srv" is relative`},
		{"path with a wildcard first", file("path = '*/srv'\naccess = 'r'"), `path "*/srv" is relative`},
		{"path from home", file("path = '~/srv'\naccess = 'r'"), `for the home directory, write ${HOME}`},
		{"path empty", file("path = ''\naccess = 'r'"), `x.toml:4:8: path: path is empty`},
		{"path with NUL", file("path = \"/a\\u0000\"\naccess = 'r'"), `path has a NUL byte`},
		{"path too long", file("path = '/" + strings.Repeat("a", 4095) + "'\naccess = 'r'"), `path is longer than 4095 bytes`},
		{"path with ..", file("path = '/a/../b'\naccess = 'r'"), `path "/a/../b" has a component ".."`},
		{"path with .", file("path = '/a/./b'\naccess = 'r'"), `has a component "."`},
		{"path with an open class", file("path = '/a[bc'\naccess = 'r'"), `"[bc" has no closing ]`},
		{"path with a backward range", file("path = '/[b-a]'\naccess = 'r'"), `runs backward`},
		{"path with a slash in a class", file("path = '/[a/]'\naccess = 'r'"), `it cannot have / or NUL`},
		{"path with a named class", file("path = '/[[:alpha:]]'\naccess = 'r'"), `named classes are not known`},
		{"path with a class beyond ASCII", file("path = '/[é]'\naccess = 'r'"), `of single bytes`},
		{"path with an unknown escape", file("path = '/\\n'\naccess = 'r'"), `unknown escape`},
		{"path with a lone backslash", file("path = '/a\\'\naccess = 'r'"), `ends in a lone \`},
		{"path with a bad variable", file("path = '/${a b}'\naccess = 'r'"), `expected ${NAME} at "${a b}"`},
		{"unix relative", role("unix = ['run/x']"), `unix: path "run/x" is relative`},
		{"abstract name empty", role("unix = ['@']"), `abstract name is empty`},
		{"device relative", role("devices = ['kvm']"), `devices: path "kvm" is relative`},

		{"no allow", network("port = 80"), `x.toml:4:1: network rule does not say allow`},
		{"port beyond 16 bits", network("port = 65536\nallow = true"), `x.toml:4:8: port 65536 is out of range: expected 0 to 65535`},
		{"port negative", network("port = -1\nallow = true"), `port -1 is out of range`},
		{"range backward", network("port = '80-70'\nallow = true"), `x.toml:4:8: port: range "80-70" runs backward`},
		{"service name", network("port = 'http'\nallow = true"), `port: "http" is not a port: expected an integer or a range "A-B"`},
		{"port as a string", network("port = '80'\nallow = true"), `port: a single port is an integer: write port = 80`},
		{"range from 0", network("port = '0-80'\nallow = true"), `port: range "0-80" has port 0`},
		{"range beyond 16 bits", network("port = '80-70000'\nallow = true"), `range "80-70000": "70000" is not a port`},
		{"range with spaces", network("port = '80 - 90'\nallow = true"), `"80 " is not a port`},
		{"port as a list", network("port = [80]\nallow = true"), `port: expected an integer or a range "A-B", not an array`},
		{"unknown protocol", network("protocol = 'tpc'\nallow = true"), `protocol: unknown value "tpc": expected any, tcp, udp (did you mean "tcp"?)`},
		{"unknown direction", network("direction = 'in'\nallow = true"), `direction: unknown value "in": expected both, bind, connect`},
		{"bad address", network("address = '10.0.0'\nallow = true"), `address: "10.0.0" is not an IPv4 or IPv6 address or CIDR`},
		{"bad prefix length", network("address = '10.0.0.0/33'\nallow = true"), `has a bad prefix length: expected 0 to 32`},
		{"host bits", network("address = '10.0.0.1/8'\nallow = true"), `address: "10.0.0.1/8" has bits set beyond its prefix: did you mean 10.0.0.0/8?`},
		{"zone", network("address = 'fe80::1%eth0'\nallow = true"), `has a zone`},
		{"host name", network("address = 'example.com'\nallow = true"), `is a name: addresses are what the kernel sees`},

		{"invalid UTF-8", "[roles.a]\nid = 100 # \xff", `x.toml:2:12: invalid UTF-8`},
		{"syntax", "[roles.a]\nid = = 100", `x.toml:2:6: `},
		{"not closed", "[roles.a", `x.toml:1:`},
		{"too large", strings.Repeat("#", MaxFileSize+1), `x.toml: larger than 1048576 bytes`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse("x.toml", []byte(c.text))
			if err == nil {
				t.Fatalf("accepted: %+v", p)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if strings.Count(err.Error(), "\n") > 1 {
				t.Errorf("more than the mistake: %v", err)
			}
		})
	}
}

func TestAllMistakesAreReported(t *testing.T) {
	_, err := Parse("x.toml", []byte("[roles.a]\nid = 5\nallow_exec = 1\nfoo = 1\n[[roles.b]]\n"))
	var list ErrorList
	if !errors.As(err, &list) || len(list) != 4 {
		t.Fatalf("got %v", err)
	}
	for i := 1; i < len(list); i++ {
		if list[i].Place.Line < list[i-1].Place.Line {
			t.Errorf("out of order: %v", err)
		}
	}
}

func TestManyMistakesAreCutShort(t *testing.T) {
	_, err := Parse("x.toml", []byte(strings.Repeat("x = 1\n", 10000)))
	if n := strings.Count(err.Error(), "\n"); n != maxErrors || !strings.HasSuffix(err.Error(), "not shown") {
		t.Errorf("%d lines", n)
	}
}

func TestMessagesEchoNoLines(t *testing.T) {
	secret := "hunter2"
	for _, text := range []string{
		"password " + secret, "root:" + secret + ":1", secret, "a = " + secret, "[roles.a] " + secret,
		"a = \"\\q" + secret, "a = 'b' " + secret,
	} {
		if _, err := Parse("shadow", []byte(text)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q gives %v", text, err)
		}
	}
}

// parseAll parses files given as name and text, in turn.
func parseAll(t *testing.T, files ...string) []*Profile {
	t.Helper()
	var list []*Profile
	for i := 0; i < len(files); i += 2 {
		p, err := Parse(files[i], []byte(files[i+1]))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

func TestSetRefusesWhatIsTakenAcrossFiles(t *testing.T) {
	_, err := NewSet(parseAll(t,
		"/etc/x/a.toml", "[roles.a]\nid = 100\n[rulesets.s]\n",
		"/etc/x/b.toml", "[roles.a]\nid = 101\ninclude = ['runtme', 's']\n[roles.b]\nid = 100\n[rulesets.s]\n")...)
	want := `/etc/x/b.toml:1:8: role name "a" is taken by "a" at /etc/x/a.toml:1
/etc/x/b.toml:3:12: include: unknown rule set "runtme" (did you mean "runtime"?)
/etc/x/b.toml:5:1: id 100 of role "b" is taken by role "a" at /etc/x/a.toml:2
/etc/x/b.toml:6:11: rule set name "s" is taken by "s" at /etc/x/a.toml:3`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestSetFindsRoles(t *testing.T) {
	s, err := NewSet(parseAll(t,
		"a.toml", "[roles.high]\nid = 2147483647\n",
		"b.toml", "[roles.low]\nid = 100\ninclude = ['mine']\n",
		"c.toml", "[rulesets.mine]\n[[rulesets.mine.files]]\npath = '/'\naccess = 'r'\n")...)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range s.Roles() {
		names = append(names, r.Name)
	}
	want := "restricted permissive webserver database isolated web_with_db worker low high"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("roles %s, want %s", got, want)
	}
	for _, key := range []string{"low", "100"} {
		if r, ok := s.Lookup(key); !ok || r.Name != "low" || len(r.AllRules().Files) != 1 {
			t.Errorf("lookup of %s gives %+v", key, r)
		}
	}
	for _, key := range []string{"", "lo", "0", "101", "-1", "4294967396"} {
		if r, ok := s.Lookup(key); ok {
			t.Errorf("lookup of %q gives %s", key, r.Name)
		}
	}
	if got := s.Suggest("webservr"); got != "webserver" {
		t.Errorf("suggests %q", got)
	}
}

// ignorePlaces compares what profiles mean.
var ignorePlaces = cmp.Options{
	cmpopts.IgnoreTypes(Place{}),
	cmpopts.IgnoreUnexported(Role{}),
	cmpopts.IgnoreFields(Role{}, "Source"),
	cmpopts.EquateComparable(netip.Prefix{}),
	cmpopts.EquateEmpty(),
}

// roundTrip renders each role of a profile and parses it again.
func roundTrip(t *testing.T, p *Profile) {
	t.Helper()
	s, err := NewSet(p)
	if err != nil {
		return // what it includes is elsewhere
	}
	for _, r := range p.Roles {
		r, _ := s.ByID(r.ID)
		text := r.TOML()
		again, err := Parse("again", []byte(text))
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		s, err := NewSet(again)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		back, _ := s.ByID(r.ID)
		if diff := cmp.Diff(r, back, ignorePlaces); diff != "" {
			t.Errorf("changed by rendering: %s\n%s", diff, text)
		}
		if diff := cmp.Diff(r.AllRules(), back.AllRules(), ignorePlaces); diff != "" {
			t.Errorf("included rules changed by rendering: %s\n%s", diff, text)
		}
	}
}

func TestRolesSurviveRendering(t *testing.T) {
	for _, text := range []string{
		example,
		"[roles.a]\nid = 100\n[[roles.a.files]]\npath = '''/\\*'\"'''\naccess = 'm'\n",
		"[roles.a]\nid = 100\n[[roles.a.files]]\npath = \"/\\u0001\\u007f\\t'\"\ndeny = true\n",
		"[roles]\na = {id = 100, files = [{path = '/é', access = 'xr'}]}\n",
	} {
		p, err := Parse("x.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, p)
	}
}

func TestRenderingShowsIncludedSets(t *testing.T) {
	r, _ := Builtins().ByName("restricted")
	if text := r.TOML(); !strings.Contains(text, "# Built in, from builtin/runtime.toml:\n#\n# [rulesets.runtime]\n") {
		t.Error(text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	for _, r := range builtin().Roles {
		f.Add([]byte(r.Source))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("fuzz", data)
		if err == nil {
			roundTrip(t, p)
			return
		}
		var list ErrorList
		if !errors.As(err, &list) || p != nil {
			t.Fatalf("got %v and %v", p, err)
		}
		for _, e := range list {
			if e.Place.Line < 1 || e.Place.Column < 1 {
				t.Errorf("no place: %v", e)
			}
		}
	})
}

func TestManyKeysAreQuick(t *testing.T) {
	var b strings.Builder
	for i := 0; b.Len() < MaxFileSize-100; i++ {
		fmt.Fprintf(&b, "[roles.r%d]\nid = %d\n", i, 100+i)
	}
	p, err := Parse("x.toml", []byte(b.String()))
	if err != nil || len(p.Roles) < 30000 {
		t.Error(err)
	}
}
