package loader

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// sampleOf is an event as the kernel part sends it.
func sampleOf(t testing.TB, e bpf.JailEvent, path string) []byte {
	t.Helper()
	copy(e.Path[:], path)
	e.PathLen = uint32(len(path))
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, e); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[:eventHead+(len(path)+7)&^7]
}

// roleSet gives the roles of a profile, and those that are built in.
func roleSet(t testing.TB, name, text string) *profiles.Set {
	t.Helper()
	p, err := profiles.Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	set, err := profiles.NewSet(p)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// testResolver knows one role, one mount table, and the policy 7 of that role.
func testResolver(t testing.TB, text string) (*Resolver, *profiles.Role) {
	t.Helper()
	role, _ := roleSet(t, "roles.d/web.toml", text).ByID(100)
	policy, err := role.Compile(profiles.Env{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := newRecord(7, role, policy).write(dir); err != nil {
		t.Fatal(err)
	}
	r := &Resolver{dir: dir}
	if err := r.init(); err != nil {
		t.Fatal(err)
	}
	r.roles = map[uint32]string{100: "web"}
	r.compiled[7] = policy
	if r.mounts, err = parseMounts([]byte(testMounts)); err != nil {
		t.Fatal(err)
	}
	return r, role
}

const testMounts = `22 1 254:1 / / rw - ext4 /dev/vda1 rw
30 22 254:2 /data /srv rw - ext4 /dev/vdb rw
31 22 0:22 / /proc rw - proc proc rw
`

const (
	rootDevice = 254<<20 | 1
	srvDevice  = 254<<20 | 2
	webRole    = `[roles.web]
id = 100
allow_file_access = true
[[roles.web.files]]
path = "/srv/secret"
deny = true
[[roles.web.network]]
port = 80
allow = false
`
)

func denialOf(op bpf.JailOp) bpf.JailEvent {
	return bpf.JailEvent{
		Number: 5, Time: uint64(time.Hour), Kind: uint32(bpf.JailEventKindEVENT_DENIAL), Op: uint32(op),
		Error: int32(unix.EACCES), Policy: 7, Role: 100, Pod: 77, Pid: 42, Tid: 43, Uid: 1000,
	}
}

func mustResolve(t testing.TB, r *Resolver, sample []byte) Event {
	t.Helper()
	e, err := r.Resolve(sample)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestDenialNamesTheRuleByFileAndLine(t *testing.T) {
	r, _ := testResolver(t, webRole)
	raw := denialOf(bpf.JailOpOP_OPEN)
	raw.Access, raw.Rule, raw.Device = 1, 1, srvDevice
	e := mustResolve(t, r, sampleOf(t, raw, "/data/secret/a"))
	if e.Path != "/srv/secret/a" || e.Role != "web" || e.Verdict != "deny" || e.Errno != "EACCES" {
		t.Errorf("%+v", e)
	}
	if e.Rule == nil || e.Rule.Place != "roles.d/web.toml:5" || !strings.Contains(e.Rule.Text, "/srv/secret") {
		t.Errorf("rule %+v", e.Rule)
	}
	// The automaton may not keep which rule it was: the rules are asked again.
	raw.Rule = 0
	if again := mustResolve(t, r, sampleOf(t, raw, "/data/secret/a")); again.Rule.Place != e.Rule.Place {
		t.Errorf("rule %+v, want that of %+v", again.Rule, e.Rule)
	}
}

func TestDefaultIsItsFlagsLine(t *testing.T) {
	r, _ := testResolver(t, strings.Replace(webRole, "allow_file_access = true", "allow_network = false", 1))
	raw := denialOf(bpf.JailOpOP_CONNECT)
	raw.Family, raw.Protocol, raw.Port = unix.AF_INET, unix.IPPROTO_TCP, 5432
	copy(raw.Addr[:], []byte{10, 0, 0, 5})
	e := mustResolve(t, r, sampleOf(t, raw, ""))
	if e.Object != "tcp 10.0.0.5:5432" || e.Reason != "default" {
		t.Errorf("%+v", e)
	}
	if e.Rule.Place != "roles.d/web.toml:3" || e.Rule.Text != "allow_network = false" || e.Rule.Flag != "allow_network" {
		t.Errorf("rule %+v", e.Rule)
	}
}

func TestEventOutlivesItsPolicysRecord(t *testing.T) {
	r, _ := testResolver(t, webRole)
	raw := denialOf(bpf.JailOpOP_CONNECT)
	raw.Policy, raw.Rule = 8, 3
	if e := mustResolve(t, r, sampleOf(t, raw, "")); e.Role != "web" || e.Rule.Place != "rule 3" {
		t.Errorf("%+v %+v", e, e.Rule)
	}
}

// TestChangeAllowsExactlyWhatWasDenied compiles the role with the change and asks it.
func TestChangeAllowsExactlyWhatWasDenied(t *testing.T) {
	r, _ := testResolver(t, webRole)
	file := denialOf(bpf.JailOpOP_OPEN)
	file.Access, file.Rule, file.Device = 1, 1, srvDevice
	port := denialOf(bpf.JailOpOP_CONNECT)
	port.Family, port.Protocol, port.Port = unix.AF_INET, unix.IPPROTO_TCP, 5432
	copy(port.Addr[:], []byte{10, 0, 0, 5})
	for _, row := range []struct {
		raw        bpf.JailEvent
		path, flag string
	}{
		{file, "/data/secret/we*ird\nname", `-r $'/srv/secret/we*ird\nname'`},
		{port, "", "--connect 10.0.0.5:5432"},
	} {
		e := mustResolve(t, r, sampleOf(t, row.raw, row.path))
		c := r.Change(e)
		if c.Flag != row.flag {
			t.Errorf("flag %q, want %q", c.Flag, row.flag)
		}
		p, err := profiles.Parse("t.toml", []byte(webRole+strings.Join(c.TOML, "\n")+"\n"))
		if err != nil {
			t.Errorf("%v: %q", err, c.TOML)
			continue
		}
		policy, err := p.Roles[0].Compile(profiles.Env{})
		if err != nil {
			t.Fatal(err)
		}
		if row.path != "" {
			got, _ := policy.Match("/srv/secret/we*ird\nname")
			other, _ := policy.Match("/srv/secret/other")
			if got != profiles.Read || other != 0 {
				t.Errorf("access %v, elsewhere %v, want r and none", got, other)
			}
			continue
		}
		addr, _ := address(row.raw)
		if allow, _ := policy.Verdict(profiles.TCP, profiles.Connect, addr, 5432); !allow {
			t.Error("the port stays denied")
		}
		if allow, _ := policy.Verdict(profiles.TCP, profiles.Connect, addr.Next(), 5432); allow {
			t.Error("another address was opened")
		}
	}
}

func TestChangeSaysWhereNoRuleIsMoreSpecific(t *testing.T) {
	r, _ := testResolver(t, webRole)
	raw := denialOf(bpf.JailOpOP_OPEN)
	raw.Access, raw.Rule, raw.Device = 1, 1, srvDevice
	c := r.Change(mustResolve(t, r, sampleOf(t, raw, "/data/secret")))
	if len(c.TOML) != 0 || !strings.Contains(c.Note, "roles.d/web.toml:5") {
		t.Errorf("%+v", c)
	}
}

func TestRefusedEnrollmentSaysWhy(t *testing.T) {
	r, _ := testResolver(t, webRole)
	raw := denialOf(bpf.JailOpOP_ENROLL)
	raw.Policy, raw.Reason, raw.Value = 0, uint32(bpf.JailReasonREASON_ENROLL), uint32(bpf.JailRefusalREFUSED_USER)
	e := mustResolve(t, r, sampleOf(t, raw, ""))
	if e.Detail != refusals[Refusal(bpf.JailRefusalREFUSED_USER)] || e.Object != "role web" || e.Rule != nil {
		t.Errorf("%+v", e)
	}
	if c := r.Change(e); len(c.TOML) != 0 || c.Note == "" {
		t.Errorf("%+v", c)
	}
}

func TestEveryOperationAndReasonHasAName(t *testing.T) {
	r, _ := testResolver(t, webRole)
	for op := uint32(1); op < uint32(bpf.JailOpOP_COUNT); op++ {
		raw := denialOf(bpf.JailOp(op))
		e := mustResolve(t, r, sampleOf(t, raw, ""))
		if e.Op == "" || strings.HasPrefix(e.Op, "op_") {
			t.Errorf("operation %d is called %q", op, e.Op)
		}
	}
	for value, name := range r.enums["reason"] {
		if value != 0 && reasons[name] == "" {
			t.Errorf("nothing says what reason %s means", name)
		}
	}
}

func TestPathOfAFileSystemThatProcessOneLacksKeepsItsDevice(t *testing.T) {
	r, _ := testResolver(t, webRole)
	raw := denialOf(bpf.JailOpOP_OPEN)
	raw.Device = 99<<20 | 3
	if e := mustResolve(t, r, sampleOf(t, raw, "/x")); e.Path != "[99:3]/x" {
		t.Errorf("path %q", e.Path)
	}
}

func TestUnixSocketIsNamedByPathOrName(t *testing.T) {
	r, _ := testResolver(t, webRole)
	for path, want := range map[string]string{"/data/run/x.sock": "/srv/run/x.sock", "@bus": "@bus"} {
		raw := denialOf(bpf.JailOpOP_CONNECT)
		raw.Family = unix.AF_UNIX
		if path[0] == '/' {
			raw.Device = srvDevice
		}
		e := mustResolve(t, r, sampleOf(t, raw, path))
		if e.Object != "unix "+want || e.Rule == nil || e.Rule.Flag != "allow_network" {
			t.Errorf("%+v %+v", e, e.Rule)
		}
		if c := r.Change(e); c.Flag != "--unix "+want || len(c.TOML) != 2 || c.TOML[1] != `unix = ["`+want+`"]` {
			t.Errorf("%+v", c)
		}
	}
}

func TestEscapedTextIsPrintableAndReversible(t *testing.T) {
	for _, s := range []string{
		"", "plain", "a b", `back\slash`, "new\nline", "\x1b[2J", "\xff\xfe", "ü", "\u202e", "\x00", "\u00a0",
		strings.Repeat("\n", 255),
	} {
		got := Escape(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }) {
			t.Errorf("%q escapes to %q", s, got)
		}
		back, err := strconv.Unquote(`"` + strings.ReplaceAll(got, `"`, `\"`) + `"`)
		if err != nil || back != s {
			t.Errorf("%q escapes to %q and comes back as %q (%v)", s, got, back, err)
		}
	}
}

func TestShortAndLyingEventsAreRefused(t *testing.T) {
	r, _ := testResolver(t, webRole)
	whole := sampleOf(t, denialOf(bpf.JailOpOP_OPEN), "/abc")
	if _, err := r.Resolve(whole[:eventHead-1]); !errors.Is(err, errShort) {
		t.Errorf("short: %v", err)
	}
	lying := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(lying[unsafe.Offsetof(bpf.JailEvent{}.PathLen):], 1<<31) // path_len
	if _, err := r.Resolve(lying); err == nil {
		t.Error("a path beyond the event's end was read")
	}
}

func TestRecordsAreBounded(t *testing.T) {
	dir := t.TempDir()
	for id := range uint64(20) {
		if err := (&PolicyRecord{Version: 1, Policy: id + 1}).write(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(dir, 10, map[uint64]bool{1: true}); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(dir + "/*.json")
	if err != nil || len(left) != 10 {
		t.Errorf("%d records left: %v", len(left), err)
	}
	for _, id := range []uint64{1, 20} {
		if _, err := readRecord(dir, id); err != nil {
			t.Errorf("record %d: %v", id, err)
		}
	}
	if info, err := os.Stat(dir + "/20.json"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
}

func FuzzDecode(f *testing.F) {
	for op := bpf.JailOp(0); op <= bpf.JailOpOP_COUNT; op++ {
		raw := denialOf(op)
		raw.Device, raw.Family, raw.Protocol = srvDevice, unix.AF_INET6, unix.IPPROTO_UDP
		f.Add(sampleOf(f, raw, "/data/a\nb"))
		raw.Rule, raw.Reason = 2, uint32(op)
		f.Add(sampleOf(f, raw, strings.Repeat("/\xff", 500)))
		raw.Kind, raw.Policy, raw.Time = uint32(op), 0, 1<<63
		f.Add(sampleOf(f, raw, "/data/secret"))
	}
	f.Add([]byte{})
	f.Add(make([]byte, eventHead-1))
	f.Add(bytes.Repeat([]byte{0xff}, 2000))
	r, _ := testResolver(f, webRole)
	f.Fuzz(func(t *testing.T, sample []byte) {
		e, err := r.Resolve(sample)
		if err != nil {
			return
		}
		_ = r.Change(e)
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{e.Object, e.Path, e.Command, string(data)} {
			if strings.ContainsAny(text, "\n\x1b\x00") || !utf8.ValidString(text) {
				t.Fatalf("%q is not safe to print", text)
			}
		}
	})
}
