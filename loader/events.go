package loader

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// EventVersion is the version of [Event]'s JSON form.
const EventVersion = 1

// Event is one thing that happened. All text in it is escaped by [Escape].
type Event struct {
	Version int       `json:"version"`          // 1
	Number  uint64    `json:"number,omitempty"` // of a denial; the same again: its repeats are being told
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`              // denial, enroll, exec, load, reload, pod_end
	Op      string    `json:"op,omitempty"`      // open, exec, connect, ...
	Verdict string    `json:"verdict,omitempty"` // of a denial: deny; allow where a permissive role only reports
	Errno   string    `json:"errno,omitempty"`   // what the program got or would have got
	Object  string    `json:"object,omitempty"`  // what it was about, for people
	Access  string    `json:"access,omitempty"`  // letters of files; flags of what only a flag governs
	Path    string    `json:"path,omitempty"`
	PathCut bool      `json:"path_cut,omitempty"` // the path is longer: its end is missing

	Protocol   string `json:"protocol,omitempty"`
	Address    string `json:"address,omitempty"`
	Port       uint32 `json:"port,omitempty"`
	Family     string `json:"family,omitempty"`
	TargetPID  uint32 `json:"target_pid,omitempty"`
	Capability string `json:"capability,omitempty"`
	Value      uint32 `json:"value,omitempty"` // capability, bpf command, socket type, refusal, depth, roles loaded

	Role       string `json:"role,omitempty"`
	RoleID     uint32 `json:"role_id,omitempty"`
	Pod        uint64 `json:"pod,omitempty"`
	Domain     uint64 `json:"domain,omitempty"`
	Policy     uint64 `json:"policy,omitempty"`
	PID        uint32 `json:"pid,omitempty"`
	TID        uint32 `json:"tid,omitempty"`
	UID        uint32 `json:"uid"`
	Command    string `json:"command,omitempty"`
	Permissive bool   `json:"permissive,omitempty"`
	Reason     string `json:"reason,omitempty"` // rule, default, or why neither decided
	Detail     string `json:"detail,omitempty"` // the reason, for people, where neither rule nor default decided
	Rule       *Rule  `json:"rule,omitempty"`   // what decided

	Repeats    uint32 `json:"repeats,omitempty"`    // so often it came again since, so far
	Suppressed uint32 `json:"suppressed,omitempty"` // denials of the domain before this that were counted only

	raw bpf.JailEvent
	rec *PolicyRecord
}

// Rule is the rule, or the flag's line, that decided.
type Rule struct {
	Place  string `json:"place"`            // FILE:LINE
	Text   string `json:"text"`             // as TOML
	Number uint32 `json:"number,omitempty"` // 0: a flag
	Flag   string `json:"flag,omitempty"`   // the flag's name
}

// eventHead is the part of an event before its path.
const eventHead = int(unsafe.Offsetof(bpf.JailEvent{}.Path))

var errShort = errors.New("event is shorter than its head")

// decode reads an event as the ring buffer or the denials map holds it.
func decode(sample []byte) (e bpf.JailEvent, err error) {
	if len(sample) < eventHead {
		return e, fmt.Errorf("%w: %d bytes", errShort, len(sample))
	}
	whole := make([]byte, binary.Size(e))
	n := copy(whole, sample)
	if _, err := binary.Decode(whole, binary.LittleEndian, &e); err != nil {
		return e, err
	}
	if int(e.PathLen) > min(n-eventHead, len(e.Path)) {
		return e, fmt.Errorf("event of %d bytes claims a path of %d", len(sample), e.PathLen)
	}
	return e, nil
}

// Escape makes text that a jailed process chose safe to print: what is no printable
// character becomes an escape of Go's strings, and so does the backslash, so that
// strconv.Unquote gives the bytes back.
func Escape(s string) string {
	clean := func(r rune) bool {
		return r != utf8.RuneError && r != '\\' && (r == ' ' || unicode.IsPrint(r))
	}
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case clean(r):
			b.WriteString(s[:size])
		default:
			q := strconv.Quote(s[:size])
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[size:]
	}
	return b.String()
}

// Resolver turns what the kernel part wrote into events that people and programs can read.
type Resolver struct {
	names    func() (map[uint32]string, error)
	dir      string // of the policies' records
	mounts   mountTable
	roles    map[uint32]string
	records  map[uint64]*PolicyRecord
	compiled map[uint64]*profiles.Policy
	missed   map[uint32]bool // devices that the mount table was read again for
	enums    map[string]map[uint64]string
	boot     time.Time // wall-clock time of the boot
}

// most is how many policies a resolver remembers.
const most = 256

// Resolver makes one.
func (k *Kernel) Resolver() (*Resolver, error) {
	r := &Resolver{names: k.roleNames, dir: policyDir}
	return r, r.init()
}

func (r *Resolver) init() (err error) {
	r.records = make(map[uint64]*PolicyRecord)
	r.compiled = make(map[uint64]*profiles.Policy)
	r.missed = make(map[uint32]bool)
	if r.enums, err = enumNames("event_kind", "op", "reason"); err != nil {
		return err
	}
	if r.boot, err = bootTime(); err != nil {
		return err
	}
	if table, err := os.ReadFile("/proc/1/mountinfo"); err == nil {
		r.mounts, _ = parseMounts(table)
	}
	if r.names != nil {
		r.roles, err = r.names()
	}
	return err
}

// enumNames gives the names of C enums, less the prefix up to the first underscore that
// all share, in lower case.
func enumNames(enums ...string) (map[string]map[uint64]string, error) {
	spec, err := embedded()
	if err != nil {
		return nil, err
	}
	all := make(map[string]map[uint64]string)
	for _, name := range enums {
		var e *btf.Enum
		if err := spec.Types.TypeByName(name, &e); err != nil {
			return nil, fmt.Errorf("enum %s: %w", name, err)
		}
		all[name] = make(map[uint64]string)
		for _, v := range e.Values {
			_, short, _ := strings.Cut(v.Name, "_")
			all[name][v.Value] = strings.ToLower(short)
		}
	}
	return all, nil
}

// bootTime is the wall-clock time at which CLOCK_BOOTTIME was 0, as clocks stand now.
func bootTime() (time.Time, error) {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return time.Time{}, err
	}
	return time.Now().Add(-time.Duration(since.Nano())), nil
}

// name looks a value up in an enum.
func (r *Resolver) name(enum string, value uint32) string {
	return cmp.Or(r.enums[enum][uint64(value)], fmt.Sprintf("%s_%d", enum, value))
}

// Resolve decodes one event and finds what its numbers stand for.
func (r *Resolver) Resolve(sample []byte) (Event, error) {
	raw, err := decode(sample)
	if err != nil {
		return Event{}, err
	}
	return r.resolve(raw), nil
}

func (r *Resolver) resolve(raw bpf.JailEvent) Event {
	e := Event{
		Version: EventVersion, Number: raw.Number,
		Time: r.boot.Add(time.Duration(raw.Time & (1<<63 - 1))).UTC(),
		Kind: r.name("event_kind", raw.Kind),
		Role: r.roleName(raw), RoleID: raw.Role,
		Pod: raw.Pod, Domain: raw.Domain, Policy: raw.Policy,
		PID: raw.Pid, TID: raw.Tid, UID: raw.Uid,
		Command: Escape(unix.ByteSliceToString(raw.Comm[:])),
		Value:   raw.Value, Repeats: raw.Repeats, Suppressed: raw.Suppressed,
		raw: raw,
	}
	if raw.Op != uint32(bpf.JailOpOP_NONE) {
		e.Op = r.name("op", raw.Op)
	}
	if raw.PathLen > 0 {
		full := string(raw.Path[:raw.PathLen])
		if raw.Kind == uint32(bpf.JailEventKindEVENT_DENIAL) {
			full = r.place(raw.Device, full)
		}
		e.Path, e.PathCut = Escape(full), raw.PathCut != 0
	}
	if raw.Kind != uint32(bpf.JailEventKindEVENT_DENIAL) {
		e.Object = e.Path
		return e
	}
	e.Permissive = raw.Permissive != 0
	e.Verdict = map[bool]string{false: "deny", true: "allow"}[e.Permissive]
	e.Errno = cmp.Or(unix.ErrnoName(unix.Errno(raw.Error)), strconv.Itoa(int(raw.Error)))
	r.object(&e)
	r.attribute(&e)
	return e
}

func (r *Resolver) roleName(raw bpf.JailEvent) string {
	if rec := r.record(raw.Policy); rec != nil {
		return Escape(rec.Name)
	}
	if raw.Role == 0 {
		return ""
	}
	if _, known := r.roles[raw.Role]; !known && r.names != nil {
		r.roles, _ = r.names()
	}
	return cmp.Or(Escape(r.roles[raw.Role]), strconv.Itoa(int(raw.Role)))
}

// place joins a path inside a file system to where PID 1 has that mounted; an abstract
// socket's name ("@...") lies in none.
func (r *Resolver) place(device uint32, inside string) string {
	if strings.HasPrefix(inside, "@") {
		return inside
	}
	if full, ok := r.mounts.join(device, inside); ok {
		return full
	}
	if !r.missed[device] && len(r.missed) < most {
		if r.missed == nil {
			r.missed = make(map[uint32]bool)
		}
		r.missed[device] = true
		if table, err := os.ReadFile("/proc/1/mountinfo"); err == nil {
			r.mounts, _ = parseMounts(table)
		}
		if full, ok := r.mounts.join(device, inside); ok {
			return full
		}
	}
	return fmt.Sprintf("[%d:%d]%s", device>>20, device&(1<<20-1), inside)
}

func (t mountTable) join(dev uint32, inside string) (string, bool) {
	winner := t.winners()[dev]
	if winner == nil {
		return "", false
	}
	list := append(mountTable{winner}, t...)
	for _, m := range list {
		if device(m) == dev && below(inside, m.Root) {
			return path.Join(m.Mountpoint, strings.TrimPrefix(inside, strings.TrimSuffix(m.Root, "/"))), true
		}
	}
	return "", false
}

// Groups of operations, by what their access word and their rules are about.
func isNetwork(op string) bool {
	return op == "connect" || op == "bind" || op == "send" || op == "listen" || op == "receive"
}

// isUnix: the denial is about a UNIX socket, whose path or @name the event has.
func (e *Event) isUnix() bool { return isNetwork(e.Op) && e.raw.Family == unix.AF_UNIX }

// isAbstract: that socket has a name, and no path.
func (e *Event) isAbstract() bool { return e.isUnix() && e.raw.PathLen > 0 && e.raw.Path[0] == '@' }

// isFile: the denial is about a file. Operations on files carry access letters.
func (e *Event) isFile() bool {
	return !e.isSocket() && (e.Path != "" || e.Op == "open" || e.Op == "exec")
}

// isSocket: the denial is about a socket and where it leads.
func (e *Event) isSocket() bool {
	return isNetwork(e.Op) || (e.Op == "receive" || e.Op == "sockopt") && e.raw.Family != 0
}

// object says what the operation was about.
func (r *Resolver) object(e *Event) {
	raw := e.raw
	switch {
	case e.isSocket() && raw.Family == unix.AF_UNIX:
		e.Family = profiles.FamilyName(raw.Family)
		e.Object = strings.TrimSpace("unix " + e.Path)
	case e.isSocket():
		e.Protocol = protocolName(raw.Protocol)
		e.Port = raw.Port
		if addr, ok := address(raw); ok {
			e.Address = addr.String()
			e.Object = e.Protocol + " " + netip.AddrPortFrom(addr, uint16(raw.Port)).String()
		} else {
			e.Family = profiles.FamilyName(raw.Family)
			e.Object = e.Protocol + " " + e.Family
		}
	case e.Op == "socket":
		e.Family = profiles.FamilyName(raw.Family)
		e.Object = e.Family + " " + socketType(raw.Value)
		if raw.Protocol != 0 {
			e.Object += " protocol " + strconv.Itoa(int(raw.Protocol))
		}
	case e.Op == "capable":
		e.Capability = capabilityName(raw.Value)
		e.Object = e.Capability
	case e.Op == "device":
		e.Object = cmp.Or(e.Path, fmt.Sprintf("device %d:%d", raw.Value>>20, raw.Value&0xfffff))
	case e.Op == "ptrace" || e.Op == "traceme" || e.Op == "signal" || e.Op == "priority":
		e.TargetPID = raw.Value
		e.Object = fmt.Sprintf("pid %d", raw.Value)
	case e.Op == "bpf":
		e.Object = fmt.Sprintf("bpf command %d", raw.Value)
	case e.Op == "enroll":
		e.Object = "role " + e.Role
	case e.Path != "":
		e.Object = e.Path
		if e.PathCut {
			e.Object += "..."
		}
	}
	switch {
	case e.isSocket(), e.Op == "socket":
	case e.isFile():
		e.Access = profiles.Access(raw.Access & uint32(bpf.JailAccessACCESS_ANY)).String()
	default:
		e.Access = strings.Join(profiles.Flags(raw.Access).Names(), " ")
	}
}

// address is the internet address of an event, if it has one.
func address(raw bpf.JailEvent) (netip.Addr, bool) {
	switch raw.Family {
	case unix.AF_INET:
		return netip.AddrFrom4([4]byte(raw.Addr[:4])), true
	case unix.AF_INET6:
		return netip.AddrFrom16(raw.Addr), true
	}
	return netip.Addr{}, false
}

func protocolName(n uint32) string {
	switch n {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol %d", n)
}

func socketType(n uint32) string {
	names := map[uint32]string{
		unix.SOCK_STREAM: "stream", unix.SOCK_DGRAM: "datagram", unix.SOCK_RAW: "raw",
		unix.SOCK_SEQPACKET: "seqpacket",
	}
	return cmp.Or(names[n], fmt.Sprintf("type %d", n))
}

// reasons is what to say where neither a rule nor a flag decided.
var reasons = map[string]string{
	"no_policy":   "the role or its policy is gone",
	"nowhere":     "the file is not below any mount that process 1 has",
	"too_deep":    "the path has too many levels",
	"deleted":     "the file has been deleted, so it has no path",
	"detached":    "the file is not connected to the root of its file system",
	"unreadable":  "the path or the policy could not be read",
	"race":        "files were renamed all the while",
	"family":      "the role does not list this kind of socket",
	"reach":       "the other process is beyond the jail's reach",
	"guard":       "closed to every jail, or to those whose role does not name it",
	"bad_address": "the address could not be read",
	"enroll":      "the enrollment was refused",
	"no_gain":     "whoever entered without privilege may not gain any",
	"sealed":      "closed to everybody until the next boot: jail is sealed",
	"more":        "the new name would grant more than the old one",
	"folded":      "the file system takes other spellings for the same name, so rules cannot tell names apart",
}

// attribute finds the rule or the flag that decided.
func (r *Resolver) attribute(e *Event) {
	raw := e.raw
	e.Reason = r.name("reason", raw.Reason)
	e.rec = r.record(raw.Policy)
	switch bpf.JailReason(raw.Reason) {
	case bpf.JailReasonREASON_RULE:
	case bpf.JailReasonREASON_ENROLL:
		e.Detail = Refusal(raw.Value).Error()
		return
	case bpf.JailReasonREASON_FAMILY:
		e.Detail = reasons["family"]
		r.byDefault(e, "families")
		return
	default:
		e.Detail = cmp.Or(reasons[e.Reason], e.Reason)
		return
	}
	number := raw.Rule
	if number == 0 && e.isFile() {
		number = r.askAgain(e)
	}
	if number == 0 {
		e.Reason = "default"
		r.byDefault(e, e.flag())
		return
	}
	e.Rule = &Rule{Number: number, Text: "the policy's record is gone", Place: fmt.Sprintf("rule %d", number)}
	if e.rec != nil && int(number) < len(e.rec.Rules) {
		rule := e.rec.Rules[number]
		e.Rule.Place, e.Rule.Text = Escape(rule.Place), rule.Text
	}
}

func (r *Resolver) byDefault(e *Event, name string) {
	e.Rule = &Rule{Flag: name, Place: "role " + e.Role, Text: name + " = false"}
	if e.rec == nil {
		return
	}
	if o, ok := e.rec.Defaults[name]; ok {
		e.Rule.Place, e.Rule.Text = Escape(o.Place), o.Text
	}
}

// flag is the one that governs what no rule speaks of.
func (e *Event) flag() string {
	switch {
	case e.isSocket():
		return "allow_network"
	case e.Op == "gain":
		return "allow_setuid"
	case e.isFile() && e.raw.Access&uint32(bpf.JailAccessACCESS_EXEC) != 0:
		return "allow_exec"
	case e.isFile():
		return "allow_file_access"
	}
	names := profiles.Flags(e.raw.Access).Names()
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// askAgain asks the rules about a path where the automaton did not keep which of them
// decided. 0: none did.
func (r *Resolver) askAgain(e *Event) uint32 {
	p := r.policy(e.rec)
	if p == nil || e.PathCut {
		return 0
	}
	_, number := p.Match(e.canonical(r))
	return number
}

// canonical is the path as rules see it.
func (e *Event) canonical(r *Resolver) string {
	full := r.place(e.raw.Device, string(e.raw.Path[:e.raw.PathLen]))
	own := fmt.Sprintf("/proc/%d", e.PID)
	if below(full, own) {
		full = "/proc/self" + strings.TrimPrefix(full, own)
	}
	return full
}

func (r *Resolver) record(id uint64) *PolicyRecord {
	if id == 0 || r.dir == "" {
		return nil
	}
	if rec, ok := r.records[id]; ok {
		return rec
	}
	if len(r.records) >= most {
		clear(r.records)
		clear(r.compiled)
	}
	rec, err := readRecord(r.dir, id)
	if err != nil {
		rec = nil
	}
	r.records[id] = rec
	return rec
}

// policy compiles a record again; nil where that is not possible.
func (r *Resolver) policy(rec *PolicyRecord) *profiles.Policy {
	if rec == nil || len(rec.Files) == 0 {
		return nil
	}
	if p, ok := r.compiled[rec.Policy]; ok {
		return p
	}
	var p *profiles.Policy
	if env, err := Environment(); err == nil {
		p, _ = rec.role().Compile(env)
	}
	r.compiled[rec.Policy] = p
	return p
}

// Change is the smallest change that allows exactly what was denied.
type Change struct {
	TOML []string `json:"toml,omitempty"` // lines to add to the role's profile
	Flag string   `json:"flag,omitempty"` // of `jail run`, for a single run
	Note string   `json:"note,omitempty"`
}

// Change tells what would allow the event's operation, and nothing more.
func (r *Resolver) Change(e Event) Change {
	role := cmp.Or(e.Role, "NAME")
	switch {
	case e.Kind != "denial":
		return Change{}
	case e.Reason == "family":
		return familyChange(e, role)
	case e.isUnix() && e.Path != "" && !e.PathCut && e.Reason == "default":
		name := e.canonical(r)
		if e.isAbstract() {
			name = string(e.raw.Path[:e.raw.PathLen])
		}
		return unixChange(name, role)
	case e.Reason != "rule" && e.Reason != "default":
		return Change{Note: "no rule can allow it: " + e.Detail}
	case isNetwork(e.Op) && (e.Protocol == "tcp" || e.Protocol == "udp"):
		return networkChange(e, role)
	case e.isFile() && e.Path != "" && !e.PathCut:
		return r.fileChange(e, role)
	case e.Rule != nil && e.Rule.Flag != "":
		return Change{TOML: profiles.KeyTable(role, e.Rule.Flag+" = true")}
	}
	return Change{Note: "change what decided"}
}

func (r *Resolver) fileChange(e Event, role string) Change {
	file := e.canonical(r)
	need := profiles.Access(e.raw.Access & uint32(bpf.JailAccessACCESS_ANY))
	if need&profiles.Exec != 0 {
		need |= profiles.Map
	}
	access := need
	if p := r.policy(e.rec); p != nil {
		held, _ := p.Match(file)
		access |= held
	} else if e.rec != nil {
		if f := profiles.Flags(e.rec.Flags); f.Has(profiles.AllowFileAccess) {
			access |= profiles.Read | profiles.Write | profiles.Map
		}
	}
	// A rule's access is complete for what it matches: what was allowed stays in it.
	rule := profiles.FileRule{Path: profiles.QuotePattern(file), Access: access}
	c := Change{TOML: rule.Table(role)}
	switch {
	case need&profiles.Exec != 0:
		c.Flag = "-x " + shellQuote(file)
	case need&profiles.Write != 0:
		c.Flag = "-w " + shellQuote(file)
	default:
		c.Flag = "-r " + shellQuote(file)
	}
	if e.rec == nil {
		return c
	}
	changed := e.rec.role()
	changed.Files = append(changed.Files, rule)
	env, err := Environment()
	if err != nil {
		return c
	}
	if p, err := changed.Compile(env); err == nil {
		if got, number := p.Match(file); got&need != need && int(number) < len(e.rec.Rules) {
			return Change{Note: fmt.Sprintf("no rule is more specific than %s: change that one", Escape(e.rec.Rules[number].Place))}
		}
	}
	return c
}

func networkChange(e Event, role string) Change {
	protocol, suffix := profiles.TCP, ""
	if e.Protocol == "udp" {
		protocol, suffix = profiles.UDP, "/udp"
	}
	rule := profiles.NetworkRule{Protocol: protocol, Direction: profiles.Connect, Allow: true}
	rule.Ports = profiles.Ports{First: uint16(e.Port), Last: uint16(e.Port)}
	var c Change
	if e.Op == "bind" || e.Op == "listen" {
		rule.Direction = profiles.Bind
		c.Flag = fmt.Sprintf("--bind %d%s", e.Port, suffix)
	} else {
		c.Flag = fmt.Sprintf("--connect %d%s", e.Port, suffix)
	}
	if addr, err := netip.ParseAddr(e.Address); err == nil && !(addr.IsUnspecified() && e.Op != "connect" && e.Op != "send") {
		rule.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		if rule.Direction == profiles.Connect {
			c.Flag = fmt.Sprintf("--connect %s%s", netip.AddrPortFrom(addr, uint16(e.Port)), suffix)
		}
	}
	c.TOML = rule.Table(role)
	if e.Port == 53 && rule.Direction == profiles.Connect {
		c.Note = "to look up names, dns = true (--dns) opens port 53 of the servers in /etc/resolv.conf"
	}
	if e.Rule != nil && e.rec != nil && e.Reason == "rule" {
		changed := e.rec.role()
		changed.Files = nil
		changed.Network = append(changed.Network, rule)
		if p, err := changed.Compile(profiles.Env{}); err == nil {
			addr, _ := netip.ParseAddr(e.Address)
			if allow, _ := p.Verdict(protocol, rule.Direction, addr, uint16(e.Port)); !allow {
				return Change{Note: "no rule is more specific than " + e.Rule.Place + ": change that one"}
			}
		}
	}
	return c
}

// unixChange is for the socket of that name, an abstract one with its "@".
func unixChange(name, role string) Change {
	pattern := "@" + profiles.QuotePattern(strings.TrimPrefix(name, "@"))
	if name[0] != '@' {
		pattern = profiles.QuotePattern(name)
	}
	c := Change{
		TOML: profiles.KeyTable(role, "unix = ["+strconv.Quote(pattern)+"]"),
		Flag: "--unix " + shellQuote(name),
		Note: "add to the list where the role has one",
	}
	if slices.Contains(resolverSockets, name) {
		c.Note = "to look up names, dns = true (--dns) opens the local resolver's socket, too"
	}
	return c
}

func familyChange(e Event, role string) Change {
	names := profiles.KindNames(e.raw.Access)
	if len(names) == 0 {
		names = []string{e.Family}
	}
	for i, n := range names {
		names[i] = strconv.Quote(n)
	}
	return Change{
		TOML: profiles.KeyTable(role, "families = ["+strings.Join(names, ", ")+"]"),
		Note: "add to the list where the role has one",
	}
}

// shellQuote writes a word as a shell reads it back.
func shellQuote(s string) string {
	plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@%=") == ""
	switch {
	case plain:
		return s
	case Escape(s) != s:
		return "$'" + strings.ReplaceAll(Escape(s), "'", `\'`) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Denials lists the latest denials, the oldest first, without consuming anything, and
// gives the resolver that knows what would change them.
func (k *Kernel) Denials() ([]Event, *Resolver, error) {
	m, err := k.table("denials")
	if err != nil {
		return nil, nil, err
	}
	r, err := k.Resolver()
	if err != nil {
		return nil, nil, err
	}
	list, err := r.denials(m)
	return list, r, err
}

// PodAlive tells whether a subject of the pod lives.
func (k *Kernel) PodAlive(pod uint64) (bool, error) {
	m, err := k.table("pods")
	if err != nil {
		return false, err
	}
	var held bpf.JailPod
	if err = m.Lookup(pod, &held); errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (r *Resolver) denials(m *ebpf.Map) ([]Event, error) {
	var list []Event
	for place := range m.MaxEntries() {
		raw, ok, err := stableDenial(m, place)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, r.resolve(raw))
		}
	}
	slices.SortFunc(list, func(a, b Event) int { return cmp.Compare(a.Number, b.Number) })
	return list, nil
}

// stableDenial reads an entry that may be written at the same time: until two reads agree.
func stableDenial(m *ebpf.Map, place uint32) (bpf.JailEvent, bool, error) {
	var before []byte
	for range 8 {
		now, err := m.LookupBytes(place)
		if err != nil || now == nil {
			return bpf.JailEvent{}, false, err
		}
		if before != nil && bytes.Equal(before, now) {
			e, err := decode(now)
			return e, err == nil && e.Number != 0 && uint32(e.Number)&(m.MaxEntries()-1) == place, nil
		}
		before = now
	}
	return bpf.JailEvent{}, false, nil // written over and over: it is not among the latest any more
}

// ErrReader means that another process reads the events.
var ErrReader = errors.New("another process reads the events")

// Log reads the ring buffer. There is one reader at a time.
type Log struct {
	*Resolver
	reader *ringbuf.Reader
	lock   *os.File
	kernel *Kernel
}

// OpenLog begins to read events. [ErrReader] while somebody else does.
func (k *Kernel) OpenLog() (*Log, error) {
	m, err := k.table("events")
	if err != nil {
		return nil, err
	}
	lock, err := lockLog()
	if err != nil {
		return nil, err
	}
	l := &Log{lock: lock, kernel: k}
	if l.Resolver, err = k.Resolver(); err == nil {
		l.reader, err = ringbuf.NewReader(m)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// lockLog takes the lock that ends with the process and that names it.
func lockLog() (*os.File, error) {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(runDir, "log.lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrReader
			holder := make([]byte, 32)
			if n, _ := f.ReadAt(holder, 0); n > 0 {
				err = fmt.Errorf("%w: process %s", ErrReader, Escape(strings.TrimSpace(string(holder[:n]))))
			}
		}
		return nil, errors.Join(err, f.Close())
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "%-10d\n", os.Getpid()), 0)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// upgradeLook is how often a reader looks whether an upgrade gave the events another buffer.
const upgradeLook = 5 * time.Second

// Next is the next event. It waits until there is one, or until [Log.Stop]; then, and
// where follow is false and the buffer is empty, os.ErrDeadlineExceeded. [ErrUpgraded] when
// this buffer is read to its end and the events go to another.
func (l *Log) Next(follow bool) (Event, error) {
	if !follow {
		if l.reader.AvailableBytes() == 0 {
			return Event{}, os.ErrDeadlineExceeded
		}
		l.reader.SetDeadline(time.Now())
	}
	rec, err := l.read(follow)
	switch {
	case errors.Is(err, ringbuf.ErrFlushed), errors.Is(err, ringbuf.ErrClosed):
		return Event{}, os.ErrDeadlineExceeded
	case err != nil:
		return Event{}, err
	}
	e, err := l.Resolve(rec.RawSample)
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrBadEvent, err)
	}
	return e, nil
}

func (l *Log) read(follow bool) (ringbuf.Record, error) {
	for {
		if follow {
			l.reader.SetDeadline(time.Now().Add(upgradeLook))
		}
		rec, err := l.reader.Read()
		if !follow || !errors.Is(err, os.ErrDeadlineExceeded) {
			return rec, err
		}
		if err := l.kernel.sameEvents(); err != nil && l.reader.AvailableBytes() == 0 {
			return rec, err
		}
	}
}

// sameEvents is [ErrUpgraded] when the programs that act write events into another buffer
// than this Kernel's.
func (k *Kernel) sameEvents() error {
	c, err := k.control()
	if err != nil {
		return err
	}
	first, _ := acts(c.Instance)
	if first == k.set.number {
		return nil
	}
	sets, err := pinnedSets()
	if err != nil {
		return err
	}
	now, err := findSet(sets, first)
	if err != nil {
		return err
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(now.dir(mapsDir), "events"), k.openHow("events"))
	if err != nil {
		return fmt.Errorf("pinned map events: %w", translate(err))
	}
	defer m.Close()
	held, err := k.table("events")
	if err != nil {
		return err
	}
	a, aerr := m.Info()
	b, berr := held.Info()
	if err := errors.Join(aerr, berr); err != nil {
		return err
	}
	theirs, _ := a.ID()
	ours, _ := b.ID()
	if theirs != ours {
		return ErrUpgraded
	}
	return nil
}

// ErrBadEvent means that one event made no sense; the ones after it may.
var ErrBadEvent = errors.New("event cannot be read")

// Stop makes a waiting [Log.Next] return.
func (l *Log) Stop() error { return l.reader.Flush() }

// Close gives the buffer back to the next reader.
func (l *Log) Close() error {
	return errors.Join(l.reader.Close(), l.lock.Close())
}

// Counts are what the kernel part counted since it was loaded.
type Counts struct {
	Denied     uint64 // refused operations
	WouldDeny  uint64 // let pass by a permissive role
	Faults     uint64 // denied because something could not be read or found
	Lost       uint64 // events that found the buffer full
	Repeated   uint64 // denials that were only counted, because they came again
	Suppressed uint64 // denials that were only counted, because they were too many
	NoStorage  uint64 // forks and execs that failed for lack of memory
}

// Counts reads the counters.
func (k *Kernel) Counts() (Counts, error) {
	c, err := k.counters()
	return Counts{
		Denied:     c[bpf.JailCounterCOUNT_DENIED],
		WouldDeny:  c[bpf.JailCounterCOUNT_WOULD_DENY],
		Faults:     c[bpf.JailCounterCOUNT_FAULT],
		Lost:       c[bpf.JailCounterCOUNT_LOST],
		Repeated:   c[bpf.JailCounterCOUNT_REPEATED],
		Suppressed: c[bpf.JailCounterCOUNT_SUPPRESSED],
		NoStorage:  c[bpf.JailCounterCOUNT_NO_STORAGE],
	}, err
}

// tell has the kernel part write an event of the loader's into the ring buffer.
func (k *Kernel) tell(kind bpf.JailEventKind, value uint32) error {
	prog, err := k.program("tell")
	if err != nil {
		return err
	}
	defer prog.Close()
	_, err = prog.Run(&ebpf.RunOptions{Context: bpf.JailTold{Kind: uint32(kind), Value: value}})
	if err != nil {
		return fmt.Errorf("tell: %w", translate(err))
	}
	return nil
}

// capabilityName is CAP_X for a capability's number.
func capabilityName(n uint32) string {
	names := []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
		"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK",
		"IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
		"SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
		"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
		"BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
	}
	if int(n) < len(names) {
		return "CAP_" + names[n]
	}
	return fmt.Sprintf("capability %d", n)
}
