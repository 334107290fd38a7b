package profiles

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
		{tty | 0, "/dev/tty"},
		{tty | 2, "/dev/ptmx"},
	}
}

// Policy is a compiled role: immutable, and in the layout of struct policy. Offsets are
// in bytes from the start of Tables.
type Policy struct {
	RoleID   uint32
	RoleName string

	Flags       uint32
	Families    uint64
	Kinds       uint32
	FileStates  uint32 // 0: no file rules
	FileClasses uint32
	FileClassAt,
	FileNextAt,
	FileAcceptAt uint32
	NetV4At, NetV4Len     uint32
	NetV6At, NetV6Len     uint32
	NetNodeAt, NetNodeLen uint32

	Tables []byte // whole pages of PageBytes
	Starts []Start
	Root   uint32 // state after the empty path, which is the root directory

	// Rules by the numbers that the tables have; Rules[0] stands for no rule.
	Rules []Rule
	// Defaults gives, for each flag, the place that decides where no rule does.
	Defaults map[string]Place

	files   []fileMatcher
	network []netMatcher
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

// PageBytes and TablePages bound a policy's tables, as in bpf/abi.h.
const (
	PageBytes  = 8192
	TablePages = 1024
)

type (
	fileMatcher struct{}
	netMatcher  struct{}
)

// Compile makes the policy of a role.
func (r *Role) Compile(env Env) (*Policy, error) { return &Policy{}, nil }
