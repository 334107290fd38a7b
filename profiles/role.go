package profiles

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Limits of the format.
const (
	MaxFileSize   = 1 << 20   // bytes of one profile
	MaxNameLength = 31        // bytes of a role's or rule set's name
	MaxPathLength = 4095      // bytes of a pattern, also after its variables are filled in
	FirstUserID   = 100       // ids below are the built-ins'
	LastUserID    = 1<<31 - 1 // ids above are those of ad-hoc roles
)

// Profile is what one file says.
type Profile struct {
	File     string
	Roles    []*Role
	RuleSets []*RuleSet
}

// Role is an id, a name, flags and rules as written.
type Role struct {
	ID           uint32
	Name         string
	Place        Place // of the role's header
	Permissive   bool  // mode = "permissive": report, do not refuse
	Include      []Text
	Flags        Flags
	DNS          bool
	Families     []Text
	Users        []Text
	Groups       []Text
	Devices      []Text
	Capabilities []Text // that the jail gates and this role may use
	Rules
	Builtin bool
	Source  string // text of the file that the role is from; empty for a role made by code

	places map[string]Place // of each key that is written
	sets   []*RuleSet       // what Include names, once resolved
}

// RuleSet is a named list of rules that roles include.
type RuleSet struct {
	Name    string
	Place   Place
	Builtin bool
	Rules
}

// Rules are the rules of a role or a rule set.
type Rules struct {
	Files   []FileRule
	Network []NetworkRule
	Unix    []Text // path patterns, or @ and a pattern for abstract names
}

// Text is a string of a profile with its place.
type Text struct {
	Value string
	Place Place
}

// FileRule gives the access to what a pattern matches and to all that is beneath it.
type FileRule struct {
	Path   string // pattern, as written
	Access Access // 0: deny
	// Without, where it is not 0, stands in place of Access: what the role's flags give,
	// less this.
	Without Access
	Place   Place // of the key `path`
	// CommandLine marks a rule that is an option of `jail run`. Where a deny so given
	// matches, at whatever depth, no allow so given counts.
	CommandLine bool
}

// NetworkRule allows or denies what it matches. The zero Protocol, Direction and Prefix
// stand for any; AllPorts for any port.
type NetworkRule struct {
	Protocol  Protocol
	Direction Direction
	Ports     Ports
	Prefix    netip.Prefix // masked, never IPv4-mapped; the zero Prefix: every address
	Allow     bool
	Place     Place // of the key `port`, else of the rule's header
}

// Access is a set of enum access bits.
type Access uint8

// What may be done with a file.
const (
	Read Access = 1 << iota
	Write
	Exec
	Map // map as code

	// Matched is set in a table where a rule decided; without it the flags do.
	Matched
	// Settled is set in a table of files where no byte leads out of the state.
	Settled
)

var accessLetters = []struct {
	letter byte
	access Access
}{{'r', Read}, {'w', Write}, {'x', Exec | Map}, {'m', Map}}

// ParseAccess reads access letters: each of r, w, x, m at most once. x implies m.
func ParseAccess(s string) (Access, error) {
	var a Access
	if s == "" {
		return 0, fmt.Errorf(`expected some of the letters r, w, x and m; to deny, write deny = true`)
	}
	for i := range len(s) {
		at := strings.IndexByte("rwxm", s[i])
		if at < 0 {
			return 0, fmt.Errorf("unknown access %s in %s: expected some of the letters r, w, x and m",
				token(s[i:i+1]), token(s))
		}
		if strings.IndexByte(s[:i], s[i]) >= 0 {
			return 0, fmt.Errorf("access %s names %q twice", token(s), s[i:i+1])
		}
		a |= accessLetters[at].access
	}
	return a, nil
}

// String gives the letters that ParseAccess reads, or "-" for none.
func (a Access) String() string {
	var b strings.Builder
	for _, l := range accessLetters {
		if a&l.access == l.access {
			b.WriteByte(l.letter)
			a &^= l.access
		}
	}
	return cmp.Or(b.String(), "-")
}

// Protocol is what a network rule speaks about.
type Protocol uint8

// Protocols.
const (
	AnyProtocol Protocol = iota
	TCP
	UDP
)

var protocolNames = []string{"any", "tcp", "udp"}

func (p Protocol) String() string { return protocolNames[p] }

// Direction is a set of what is done with a port.
type Direction uint8

// Directions; the zero value means both.
const (
	BothDirections Direction = iota
	Bind
	Connect
)

var directionNames = []string{"both", "bind", "connect"}

func (d Direction) String() string { return directionNames[d] }

// Ports is an inclusive range.
type Ports struct{ First, Last uint16 }

// AllPorts is the range of a rule that names no port.
var AllPorts = Ports{0, 65535}

// String gives a port, or FIRST-LAST.
func (p Ports) String() string {
	if p.First == p.Last {
		return fmt.Sprint(p.First)
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

func (p Ports) contains(port uint16) bool { return p.First <= port && port <= p.Last }

// width is the number of ports less one.
func (p Ports) width() int { return int(p.Last) - int(p.First) }

// Flags is what a role opens, with the bits of enum role_flag.
type Flags uint32

// The flags of a role, and the two that Compile adds to a policy.
const (
	AllowFileAccess Flags = 1 << iota
	AllowNetwork
	AllowExec
	AllowSetuid
	AllowPtrace
	AllowUserns
	AllowMount
	AllowChroot
	AllowBPF
	AllowModuleLoad
	AllowMemfdExec
	AllowJIT
	RequireSignature
	AllowUserfaultfd
	AllowKeys

	ModePermissive Flags = 1 << 30
	OpenToAll      Flags = 1 << 31
)

// DefaultFlags are what a role has that writes none.
const DefaultFlags = AllowJIT

var flagNames = []struct {
	name string
	flag Flags
}{
	{"allow_file_access", AllowFileAccess},
	{"allow_network", AllowNetwork},
	{"allow_exec", AllowExec},
	{"allow_setuid", AllowSetuid},
	{"allow_ptrace", AllowPtrace},
	{"allow_userns", AllowUserns},
	{"allow_mount", AllowMount},
	{"allow_chroot", AllowChroot},
	{"allow_bpf", AllowBPF},
	{"allow_module_load", AllowModuleLoad},
	{"allow_memfd_exec", AllowMemfdExec},
	{"allow_jit", AllowJIT},
	{"require_signature", RequireSignature},
	{"allow_userfaultfd", AllowUserfaultfd},
	{"allow_keys", AllowKeys},
}

// FlagNames lists the keys that are flags, in the order of their bits.
func FlagNames() []string {
	names := make([]string, len(flagNames))
	for i, f := range flagNames {
		names[i] = f.name
	}
	return names
}

// FlagByName gives the flag of a key.
func FlagByName(name string) (Flags, bool) {
	for _, f := range flagNames {
		if f.name == name {
			return f.flag, true
		}
	}
	return 0, false
}

// Has tells whether all of the given flags are set.
func (f Flags) Has(flags Flags) bool { return f&flags == flags }

// KeyPlace is where a key of the role is written; where it is not, the role's header.
func (r *Role) KeyPlace(key string) Place {
	if at, ok := r.places[key]; ok {
		return at
	}
	return r.Place
}

// Written tells whether the role's text has the key.
func (r *Role) Written(key string) bool {
	_, ok := r.places[key]
	return ok
}

// Sets are the rule sets that the role includes, in order.
func (r *Role) Sets() []*RuleSet { return slices.Clone(r.sets) }

// AllRules are the role's own rules and then those of each included rule set.
func (r *Role) AllRules() Rules {
	all := Rules{
		Files:   slices.Clone(r.Files),
		Network: slices.Clone(r.Network),
		Unix:    slices.Clone(r.Unix),
	}
	for _, s := range r.sets {
		all.Files = append(all.Files, s.Files...)
		all.Network = append(all.Network, s.Network...)
		all.Unix = append(all.Unix, s.Unix...)
	}
	return all
}

// AddSet includes a rule set, once.
func (r *Role) AddSet(s *RuleSet) {
	if slices.Contains(r.sets, s) {
		return
	}
	r.Include = append(r.Include, Text{Value: s.Name})
	r.sets = append(r.sets, s)
}

// Clone is a private copy, whose rules and flags may be changed.
func (r *Role) Clone() *Role {
	c := *r
	c.Include = slices.Clone(r.Include)
	c.Families = slices.Clone(r.Families)
	c.Users = slices.Clone(r.Users)
	c.Groups = slices.Clone(r.Groups)
	c.Devices = slices.Clone(r.Devices)
	c.Capabilities = slices.Clone(r.Capabilities)
	c.Files = slices.Clone(r.Files)
	c.Network = slices.Clone(r.Network)
	c.Unix = slices.Clone(r.Unix)
	c.sets = slices.Clone(r.sets)
	c.places = maps.Clone(r.places)
	return &c
}
