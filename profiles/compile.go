package profiles

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Env is what compiling needs to know of the machine and of the moment.
type Env struct {
	// Mounts is the reference mount table, less what Magic judges by type. Of several
	// mounts of one device, one whose root encloses another's stands for both, and the
	// first of those with the same root; mounts with separate roots (btrfs subvolumes)
	// are all used.
	Mounts      []Mount
	Magic       []MagicMount
	CharDevices []CharDevice
	// Resolve gives the canonical path of a rule's leading literal components: symlinks
	// followed, bind mounts led back to where the tree behind them is mounted. nil:
	// paths are canonical as they are. It is not asked about /proc/self.
	Resolve func(path string) (string, error)
	// Vars are the values of ${NAME} in patterns.
	Vars map[string]string
	// Resolvers are the name servers, and ResolverSockets the UNIX sockets of the local
	// resolver, that `dns = true` opens.
	Resolvers       []netip.Addr
	ResolverSockets []string
	// Account gives the number of a user or a group (which) by name; an error when there
	// is none. nil: names are not resolved, and nobody is let in by name.
	Account func(which EntrantKind, name string) (uint32, error)
}

// EntrantKind tells whether an Entrant is a user or a group.
type EntrantKind uint32

// What may be let into a role.
const (
	User EntrantKind = iota
	Group
)

func (k EntrantKind) String() string { return [...]string{"user", "group"}[k] }

// Entrant is a user or group that may enter a role.
type Entrant struct {
	Kind EntrantKind
	ID   uint32
}

// Mount is a mounted filesystem.
type Mount struct {
	Device uint32 // s_dev as the kernel encodes it: major<<20 | minor
	Root   string // what of the filesystem is mounted, as a path inside it
	Point  string // where, as a canonical path
}

// MagicMount is a filesystem that is judged by its type, wherever it is mounted.
type MagicMount struct {
	Magic uint32
	Point string
}

// CharDevice is a harmless character device, known by its number wherever its node is.
type CharDevice struct {
	Device uint32 // rdev: major<<20 | minor
	Path   string
}

// DefaultMagic lists the filesystems that DESIGN has judged by type.
func DefaultMagic() []MagicMount {
	return []MagicMount{
		{0x9fa0, "/proc"},
		{0x62656572, "/sys"},
		{0x27e0eb, "/sys/fs/cgroup"},
		{0x63677270, "/sys/fs/cgroup"},
		{0x1cd1, "/dev/pts"},
		{0x19800202, "/dev/mqueue"},
		{0xcafe4a11, "/sys/fs/bpf"},
		{0x74726163, "/sys/kernel/tracing"},
		{0x64626720, "/sys/kernel/debug"},
		{0x42494e4d, "/proc/sys/fs/binfmt_misc"},
	}
}

// DefaultCharDevices lists the harmless character devices.
func DefaultCharDevices() []CharDevice {
	const mem, tty = 1 << 20, 5 << 20
	return []CharDevice{
		{mem | 3, "/dev/null"},
		{mem | 5, "/dev/zero"},
		{mem | 7, "/dev/full"},
		{mem | 8, "/dev/random"},
		{mem | 9, "/dev/urandom"},
		{tty, "/dev/tty"},
		{tty | 2, "/dev/ptmx"},
	}
}

// Policy is a compiled role: immutable, and in the layout of struct policy. Offsets are
// in bytes from the start of Tables.
type Policy struct {
	RoleID   uint32
	RoleName string

	Flags        uint32
	Families     uint64
	Kinds        uint32
	Capabilities uint64 // bit n: capability n
	FileStates   uint32 // 0: no file rules
	FileClasses  uint32
	FileClassAt,
	FileNextAt,
	FileAcceptAt,
	FileBeneathAt uint32
	NetV4At, NetV4Len     uint32
	NetV6At, NetV6Len     uint32
	NetNodeAt, NetNodeLen uint32

	UnixStates  uint32 // 0: no rules for UNIX sockets with a file
	UnixClasses uint32
	UnixClassAt,
	UnixNextAt,
	UnixAcceptAt uint32
	NameStates  uint32 // 0: no rules for abstract ones
	NameClasses uint32
	NameClassAt,
	NameNextAt,
	NameAcceptAt uint32

	Tables []byte // whole pages of PageBytes
	Starts []Start
	Root   uint32 // state after the empty path, which is the root directory

	UnixRoot uint32 // the same of the automaton for UNIX sockets
	// Entrants may enter the role, besides root; everyone may where Flags has OpenToAll.
	Entrants []Entrant

	// Rules by the numbers that the tables have; Rules[0] stands for no rule.
	Rules []Rule
	// Defaults gives, for each flag, the place that decides where no rule does.
	Defaults map[string]Place

	// Devices tells whether the role names a device node's path; nil: none.
	Devices func(path string) bool

	files   []fileMatcher
	network []netMatcher
	unix    []fileMatcher
	names   []nameMatcher
}

// Start is an entry of the start map: the automaton's state at a filesystem's root.
type Start struct {
	Kind  StartKind
	Value uint32
	State uint32
}

// StartKind tells what the value of a Start is.
type StartKind uint32

// What a filesystem is known by.
const (
	StartDevice     StartKind = iota // s_dev
	StartMagic                       // s_magic
	StartCharDevice                  // rdev: the state is the file's own

	StartUnix StartKind = 4 // added to these: of the automaton for UNIX sockets
)

// RuleKind tells which list a rule is from.
type RuleKind string

// Kinds of rules.
const (
	FileRules    RuleKind = "files"
	NetworkRules RuleKind = "network"
	UnixRules    RuleKind = "unix"
)

// Rule is a rule as messages show it.
type Rule struct {
	Kind  RuleKind
	Place string // FILE:LINE
	Text  string // the rule as TOML, on one line
}

type fileMatcher struct {
	pattern
	access      Access
	commandLine bool
	number      uint32 // in Policy.Rules
}

// compare is positive where m is more specific than o, of rules that match at the same
// component.
func (m *fileMatcher) compare(o *fileMatcher) int {
	return cmp.Or(cmp.Compare(m.literals, o.literals), -cmp.Compare(m.wildcards, o.wildcards))
}

// Compile makes the policy of a role. Mistakes that only show once variables are filled
// in and symlinks resolved come as an ErrorList; ErrTooLarge is the cause where the
// rules do not fit.
func (r *Role) Compile(env Env) (*Policy, error) {
	p := &Policy{
		RoleID: r.ID, RoleName: r.Name,
		Rules:    []Rule{{}},
		Defaults: make(map[string]Place, len(flagNames)),
	}
	for _, f := range flagNames {
		p.Defaults[f.name] = r.KeyPlace(f.name)
	}
	p.Flags = uint32(r.policyFlags())
	var err error
	if p.Families, p.Kinds, err = compileFamilies(r.Families); err != nil {
		return nil, fmt.Errorf("role %s: %w", r.Name, err)
	}
	if p.Entrants, err = r.entrants(&env); err != nil {
		return nil, err
	}
	if p.Capabilities, err = compileCapabilities(r.Capabilities); err != nil {
		return nil, fmt.Errorf("role %s: %w", r.Name, err)
	}
	if p.Devices, err = compileDevices(r.Devices, &env); err != nil {
		return nil, fmt.Errorf("role %s: %w", r.Name, err)
	}
	all := r.AllRules()
	if r.DNS {
		env.openResolvers(r.KeyPlace("dns"), &all)
	}
	if len(all.Files)+len(all.Network)+len(all.Unix) > maxRules {
		return nil, fmt.Errorf("role %s: %w: more than %d rules", r.Name, ErrTooLarge, maxRules)
	}
	if err := p.addRules(all, &env); err != nil {
		return nil, err
	}
	var t tables
	if err := p.compileFiles(&env, &t); err != nil {
		return nil, fmt.Errorf("role %s: %w", r.Name, err)
	}
	if err := p.compileUnix(&env, &t); err != nil {
		return nil, fmt.Errorf("role %s: %w", r.Name, err)
	}
	p.compileNetwork(&t)
	if len(t.bytes) > TablePages*PageBytes {
		return nil, fmt.Errorf("role %s: %w: its rules take %d bytes of tables, at most %d fit%s",
			r.Name, ErrTooLarge, len(t.bytes), TablePages*PageBytes, p.blame())
	}
	p.Tables = t.pages()
	return p, nil
}

// entrants resolves `users` and `groups`: names, or numbers.
func (r *Role) entrants(env *Env) ([]Entrant, error) {
	var (
		list []Entrant
		errs ErrorList
	)
	add := func(kind EntrantKind, texts []Text) {
		for _, t := range texts {
			if t.Value == "*" {
				continue // policyFlags sees to it
			}
			id, err := strconv.ParseUint(t.Value, 10, 32)
			if err == nil {
				list = append(list, Entrant{kind, uint32(id)})
				continue
			}
			if env.Account == nil {
				continue
			}
			n, err := env.Account(kind, t.Value)
			if err != nil {
				errs = append(errs, &Error{Place: t.Place, Message: err.Error(), Err: err})
				continue
			}
			list = append(list, Entrant{kind, n})
		}
	}
	add(User, r.Users)
	add(Group, r.Groups)
	return list, errs.err()
}

// maxRules is how many numbers an accept word can tell apart.
const maxRules = 1<<24 - 1

func (r *Role) policyFlags() Flags {
	flags := r.Flags
	if r.Permissive {
		flags |= ModePermissive
	}
	everyone := func(t Text) bool { return t.Value == "*" }
	if slices.ContainsFunc(r.Users, everyone) || slices.ContainsFunc(r.Groups, everyone) {
		flags |= OpenToAll
	}
	return flags
}

// addRules numbers the rules and makes their matchers.
func (p *Policy) addRules(all Rules, env *Env) error {
	var errs ErrorList
	number := func(kind RuleKind, at Place, text string) uint32 {
		p.Rules = append(p.Rules, Rule{Kind: kind, Place: at.String(), Text: text})
		return uint32(len(p.Rules) - 1)
	}
	for _, f := range all.Files {
		pt, err := compilePattern(f.Path, env)
		if err != nil {
			errs = append(errs, &Error{Place: f.Place, Message: err.Error(), Err: err})
			continue
		}
		if f.Without != 0 {
			f.Access = p.defaultAccess() &^ f.Without
		}
		p.files = append(p.files, fileMatcher{pt, f.Access, f.CommandLine, number(FileRules, f.Place, f.String())})
	}
	for _, n := range all.Network {
		p.network = append(p.network, netMatcher{n, number(NetworkRules, n.Place, n.String())})
	}
	for _, u := range all.Unix {
		if err := p.addUnix(u, number(UnixRules, u.Place, quote(validUTF8(u.Value))), env); err != nil {
			errs = append(errs, &Error{Place: u.Place, Message: err.Error(), Err: err})
		}
	}
	return errs.err()
}

// compileFiles writes the automaton of the file rules.
func (p *Policy) compileFiles(env *Env, t *tables) error {
	if len(p.files) == 0 {
		return nil
	}
	a, ok := automatonOf(p.files, rootBytes(env.Mounts))
	if !ok {
		return fmt.Errorf("%w: its file rules need more than %d states%s", ErrTooLarge, maxStates, p.blame())
	}
	g := newGraph(a)
	p.Root, p.Starts = uint32(g.root), g.starts(env)
	if g.states() > maxStates {
		return fmt.Errorf("%w: its file rules need %d states, at most %d fit%s",
			ErrTooLarge, g.states(), maxStates, p.blame())
	}
	p.FileStates, p.FileClasses = uint32(g.states()), uint32(a.size())
	t.bytes = slices.Grow(t.bytes, 256+2*len(g.next)+12*len(g.accept)+PageBytes)
	p.FileClassAt = t.reserve(256)
	t.bytes = append(t.bytes, a.class[:]...)
	p.FileNextAt = t.reserve(2)
	for _, to := range g.next {
		t.bytes = binary.LittleEndian.AppendUint16(t.bytes, uint16(to))
	}
	p.FileAcceptAt = t.reserve(4)
	for s, word := range g.accept {
		if g.settled(int32(s)) {
			word |= uint32(Settled)
		}
		t.word(word)
	}
	p.FileBeneathAt = t.reserve(2 * len(accessKinds))
	for _, numbers := range g.beneath(p.defaultAccess()) {
		for _, n := range numbers {
			t.bytes = binary.LittleEndian.AppendUint16(t.bytes, n)
		}
	}
	return nil
}

// automatonOf makes the rules' minimal automaton. Which rule decided beneath a match
// is what multiplies states: where keeping it takes too many, it is let go.
func automatonOf(rules []fileMatcher, extra []byteSet) (a *automaton, ok bool) {
	joined, ok := join(rules)
	if !ok {
		return nil, false
	}
	for _, precise := range []bool{true, false} {
		if a, ok = determinize(joined, rules, extra, precise); !ok {
			continue
		}
		if a = a.minimize(); a.fits() {
			return a, true
		}
	}
	return a, ok
}

// fits tells whether an automaton leaves room for the state 0.
func (a *automaton) fits() bool {
	cells := len(a.next) + a.size()
	return len(a.accept) < maxStates && 2*cells+12*len(a.accept) < TablePages*PageBytes
}

// blame names the patterns that make most states: those with the most wildcards, and of
// those the longest.
func (p *Policy) blame() string {
	worst := slices.Clone(p.files)
	slices.SortStableFunc(worst, func(a, b fileMatcher) int {
		return cmp.Or(cmp.Compare(b.cost(), a.cost()), cmp.Compare(len(b.tokens), len(a.tokens)))
	})
	const most = 3
	var b strings.Builder
	for i, f := range worst[:min(most, len(worst))] {
		rule := p.Rules[f.number]
		fmt.Fprintf(&b, "%s %s: %s", []string{"; the costliest:", ","}[min(i, 1)], rule.Place, cut(rule.Text))
	}
	return b.String()
}

// cost ranks patterns by how much they multiply states: ** most.
func (m *fileMatcher) cost() int {
	cost := m.wildcards
	for _, t := range m.tokens {
		if t.kind == someDirs || t.kind == someBytes {
			cost += 1000
		}
	}
	return cost
}

// rootBytes are the bytes of the paths inside filesystems, which the automaton must tell
// apart where the whole of a filesystem is not mounted.
func rootBytes(mounts []Mount) []byteSet {
	var sets []byteSet
	for _, m := range mounts {
		for i := range len(m.Root) {
			sets = append(sets, single(m.Root[i]))
		}
	}
	return sets
}

// graph is an automaton with the state 0 before the others, and with chains that lead
// into it from the roots of filesystems that are mounted in part.
type graph struct {
	*alphabet
	next   []int32
	accept []uint32
	root   int32 // state after the empty path
}

func newGraph(a *automaton) *graph {
	g := &graph{
		alphabet: &a.alphabet,
		next:     make([]int32, a.size(), len(a.next)+a.size()),
		accept:   append([]uint32{0}, a.accept...),
		root:     RootState,
	}
	for _, to := range a.next {
		g.next = append(g.next, to+1)
	}
	return g
}

// RootState is the state after the empty path, in every policy with file rules.
const RootState = 1

func (g *graph) states() int { return len(g.accept) }

// cell is where the successor of a state by a byte is.
func (g *graph) cell(state int32, c byte) *int32 {
	return &g.next[int(state)*g.size()+int(g.class[c])]
}

// settled tells whether no byte leads out of a state: the verdict is then that of
// everything beneath. State 0 has none.
func (g *graph) settled(state int32) bool {
	if state == 0 {
		return false
	}
	row := g.next[int(state)*g.size():][:g.size()]
	return !slices.ContainsFunc(row, func(to int32) bool { return to != state })
}

// after gives the state after a canonical path.
func (g *graph) after(path string) int32 {
	path = strings.TrimSuffix(path, "/")
	state := g.root
	for i := range len(path) {
		state = *g.cell(state, path[i])
	}
	return state
}

// starts gives the start states of all filesystems.
func (g *graph) starts(env *Env) []Start {
	var (
		starts  []Start
		devices []uint32
		mounts  = make(map[uint32][]Mount)
	)
	for _, m := range env.Mounts {
		if !strings.HasPrefix(m.Root, "/") {
			continue // a namespace's file
		}
		if mounts[m.Device] == nil {
			devices = append(devices, m.Device)
		}
		mounts[m.Device] = append(mounts[m.Device], m)
	}
	for _, d := range devices {
		starts = append(starts, Start{StartDevice, d, uint32(g.filesystem(mounts[d]))})
	}
	for _, m := range env.Magic {
		starts = append(starts, Start{StartMagic, m.Magic, uint32(g.after(m.Point))})
	}
	for _, c := range env.CharDevices {
		starts = append(starts, Start{StartCharDevice, c.Device, uint32(g.after(c.Path))})
	}
	return starts
}

// filesystem gives the state at the root of a filesystem with these mounts.
func (g *graph) filesystem(mounts []Mount) int32 {
	slices.SortStableFunc(mounts, func(a, b Mount) int { return cmp.Compare(len(a.Root), len(b.Root)) })
	if mounts[0].Root == "/" {
		return g.after(mounts[0].Point)
	}
	var (
		top  = g.link()
		used []string
	)
	for _, m := range mounts {
		if slices.ContainsFunc(used, func(root string) bool { return within(m.Root, root) }) {
			continue // a wider root, or an earlier mount of the same, stands for it
		}
		used = append(used, m.Root)
		at := top
		for i := range len(m.Root) {
			if *g.cell(at, m.Root[i]) == 0 {
				link := g.link() // moves the cells
				*g.cell(at, m.Root[i]) = link
			}
			at = *g.cell(at, m.Root[i])
		}
		// Here the path inside becomes the mount point. What only begins with the root's
		// name is not below it: the state gets the point's verdict and way down, no more.
		point := g.after(m.Point)
		g.accept[at] = g.accept[point]
		*g.cell(at, '/') = *g.cell(point, '/')
	}
	return top
}

// within tells whether a clean path is dir or beneath it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// link adds a state of a chain, which leads nowhere yet and denies.
func (g *graph) link() int32 {
	g.accept = append(g.accept, 0)
	g.next = append(g.next, make([]int32, g.size())...)
	return int32(len(g.accept) - 1)
}
