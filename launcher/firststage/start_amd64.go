package firststage

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"jail/bpf"
)

// Everything here runs without a Go runtime: no allocation, no growth of the stack, no
// panic that could be told. So each function is nosplit, and nothing is indexed that was
// not measured.

func entry()

var (
	stack unsafe.Pointer // where the kernel left argc
	tls   [128]byte      // what FS points into until the runtime takes over
	file  [4096]byte     // the command's path; PATH_MAX
)

var _ = []any{entry, start, &stack, &tls} // the linker and the assembly name them

// request is what the command line asks for.
type request struct {
	roles   [bpf.JailAbiROLE_DEPTH]uintptr
	count   int
	pod     uintptr
	command unsafe.Pointer // char **: name and arguments
	environ unsafe.Pointer // char **
	path    unsafe.Pointer // value of PATH; nil: not set
	uid     uintptr
	gid     uintptr
	gained  bool // by a set-user-ID or set-group-ID bit
}

// start is called by entry. It returns where the Go runtime has to do it.
//
//go:nosplit
func start(sp unsafe.Pointer) {
	var r request
	if !r.parse(sp) || !r.arm() {
		return
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 3, uintptr(^uint32(0)), unix.CLOSE_RANGE_CLOEXEC); errno == 0 {
		r.execute()
	}
	jail(bpf.JailPrctlPRCTL_CLEAR, 0)
}

// parse reads the words from argc on, and the kernel's vector behind them.
//
//go:nosplit
func (r *request) parse(sp unsafe.Pointer) bool {
	argc := *(*int)(sp)
	argv := unsafe.Add(sp, 8)
	r.environ = unsafe.Add(argv, (argc+1)*8)
	return argc > 3 && is(word(argv, 1), "run") && r.parseFlags(argv, argc) && r.parseEnvironment()
}

//go:nosplit
func (r *request) parseFlags(argv unsafe.Pointer, argc int) bool {
	i := 2
	for ; i < argc; i++ {
		arg := word(argv, i)
		if at(arg, 0) != '-' || at(arg, 1) == 0 {
			break
		}
		if is(arg, "--") {
			i++
			break
		}
		if i++; i == argc {
			return false
		}
		value := word(argv, i)
		switch {
		case is(arg, "--role") && r.count < len(r.roles):
			id := builtin(value)
			if id == 0 {
				return false
			}
			r.roles[r.count&(len(r.roles)-1)] = id
			r.count++
		case is(arg, "--pod") && r.pod == 0:
			r.pod = number(value)
			if r.pod == 0 {
				return false
			}
		default:
			return false
		}
	}
	r.command = unsafe.Add(argv, i*8)
	return r.count > 0 && i < argc && at(word(r.command, 0), 0) != 0
}

// parseEnvironment finds PATH, and goes on to the vector for who the caller is.
//
//go:nosplit
func (r *request) parseEnvironment() bool {
	next := r.environ
	for ; word(next, 0) != nil; next = unsafe.Add(next, 8) {
		entry := word(next, 0)
		if begins(entry, "JAIL_CONFIG_DIR=") {
			return false
		}
		if r.path == nil && begins(entry, "PATH=") {
			r.path = unsafe.Add(entry, len("PATH="))
		}
	}
	const (
		atUID    = 11
		atEUID   = 12
		atGID    = 13
		atEGID   = 14
		atSecure = 23
	)
	const none = ^uintptr(0)
	r.uid, r.gid = none, none
	euid, egid, secure := none, none, none
	for v := (*[2]uintptr)(unsafe.Add(next, 8)); v[0] != 0; v = (*[2]uintptr)(unsafe.Add(unsafe.Pointer(v), 16)) {
		switch v[0] {
		case atUID:
			r.uid = v[1]
		case atEUID:
			euid = v[1]
		case atGID:
			r.gid = v[1]
		case atEGID:
			egid = v[1]
		case atSecure:
			secure = v[1]
		}
	}
	r.gained = r.uid != euid || r.gid != egid
	// Real root is served as it is; what gained by other means, the runtime sorts out.
	return r.uid != none && r.gid != none && euid != none && egid != none &&
		(secure == 0 && !r.gained || secure == 1 && r.gained && r.uid != 0)
}

// arm is loader.Arm: the roles for the next exec of this thread, read back.
//
//go:nosplit
func (r *request) arm() bool {
	if jail(bpf.JailPrctlPRCTL_CLEAR, 0) != 0 {
		return false // not loaded: nothing was changed
	}
	if r.gained && !r.drop() {
		return false
	}
	if r.uid == 0 && jail(bpf.JailPrctlPRCTL_MOUNTS, 0) != 0 {
		return false // mounts to read
	}
	if r.uid != 0 {
		if _, _, errno := syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
			return false
		}
	}
	ok := r.pod == 0 || jail(bpf.JailPrctlPRCTL_POD, r.pod) == 0
	for i := 0; ok && i < r.count; i++ {
		ok = jail(bpf.JailPrctlPRCTL_ARM, r.roles[i&(len(r.roles)-1)]) == 0
	}
	if ok = ok && jail(bpf.JailPrctlPRCTL_COUNT, 0) == r.count; !ok {
		jail(bpf.JailPrctlPRCTL_CLEAR, 0)
	}
	return ok
}

// drop gives up what a set-user-ID bit gave: for a kernel part that is loaded nothing of it
// is needed. It tells whether nothing is left, of capabilities too.
//
//go:nosplit
func (r *request) drop() bool {
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESGID, r.gid, r.gid, r.gid); errno != 0 {
		return false
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, r.uid, r.uid, r.uid); errno != 0 {
		return false
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var held [2]unix.CapUserData
	_, _, errno := syscall.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&held)), 0)
	return errno == 0 && held[0].Permitted|held[1].Permitted == 0
}

// jail asks the private prctl, and gives n of its answer PRCTL_OK + n; less than 0 for
// any other.
//
//go:nosplit
func jail(op bpf.JailPrctl, arg uintptr) int {
	_, _, errno := syscall.RawSyscall6(unix.SYS_PRCTL, uintptr(bpf.JailPrctlPRCTL_JAIL), uintptr(op), arg, 0, 0, 0)
	if n := int(errno) - int(bpf.JailPrctlPRCTL_OK); n < int(bpf.JailPrctlPRCTL_REFUSED-bpf.JailPrctlPRCTL_OK) {
		return n
	}
	return -1
}

// execute finds the command as execvp does, and returns where it was not found or could
// not be executed.
//
//go:nosplit
func (r *request) execute() {
	name := word(r.command, 0)
	for i := 0; at(name, i) != 0; i++ {
		if at(name, i) == '/' {
			r.exec(name)
			return
		}
	}
	dir := r.path
	if dir == nil {
		return
	}
	for {
		n := 0
		for ; at(dir, n) != 0 && at(dir, n) != ':'; n++ {
			if n == len(file) {
				return
			}
			file[n] = at(dir, n)
		}
		if n == 0 { // the current directory
			file[0] = '.'
			n = 1
		}
		if !join(n, name) {
			return
		}
		if runnable() {
			r.exec(unsafe.Pointer(&file))
			return
		}
		for at(dir, 0) != 0 && at(dir, 0) != ':' {
			dir = unsafe.Add(dir, 1)
		}
		if at(dir, 0) == 0 {
			return
		}
		dir = unsafe.Add(dir, 1)
	}
}

// join puts "/NAME" behind the first n bytes of file.
//
//go:nosplit
func join(n int, name unsafe.Pointer) bool {
	for i := -1; ; i++ {
		if n >= len(file) {
			return false
		}
		if i < 0 {
			file[n] = '/'
		} else {
			file[n] = at(name, i)
			if file[n] == 0 {
				return true
			}
		}
		n++
	}
}

// runnable tells whether file is there, no directory, and may be executed.
//
//go:nosplit
func runnable() bool {
	var info unix.Stat_t
	path, here := uintptr(unsafe.Pointer(&file)), unix.AT_FDCWD
	_, _, errno := syscall.RawSyscall6(unix.SYS_NEWFSTATAT, uintptr(here), path, uintptr(unsafe.Pointer(&info)), 0, 0, 0)
	if errno != 0 || info.Mode&unix.S_IFMT == unix.S_IFDIR {
		return false
	}
	_, _, errno = syscall.RawSyscall(unix.SYS_FACCESSAT, uintptr(here), path, unix.X_OK)
	return errno == 0
}

//go:nosplit
func (r *request) exec(path unsafe.Pointer) {
	_, _, _ = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(path), uintptr(r.command), uintptr(r.environ))
}

// builtin is the id of a built-in role; 0: none of that name.
//
//go:nosplit
func builtin(name unsafe.Pointer) uintptr {
	switch {
	case is(name, "restricted"):
		return 1
	case is(name, "permissive"):
		return 2
	case is(name, "webserver"):
		return 3
	case is(name, "database"):
		return 4
	case is(name, "isolated"):
		return 5
	case is(name, "web_with_db"):
		return 6
	case is(name, "worker"):
		return 7
	}
	return 0
}

// number reads up to 18 decimal digits, the first not 0; 0: not such a number.
//
//go:nosplit
func number(s unsafe.Pointer) uintptr {
	n := uintptr(0)
	for i := 0; at(s, i) != 0; i++ {
		digit := at(s, i) - '0'
		if digit > 9 || n == 0 && digit == 0 || i == 18 {
			return 0
		}
		n = n*10 + uintptr(digit)
	}
	return n
}

// word is entry i of an array of strings.
//
//go:nosplit
func word(list unsafe.Pointer, i int) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Add(list, i*8))
}

//go:nosplit
func at(s unsafe.Pointer, i int) byte { return *(*byte)(unsafe.Add(s, i)) }

//go:nosplit
func begins(s unsafe.Pointer, with string) bool {
	for i := 0; i < len(with); i++ {
		if at(s, i) != with[i] {
			return false
		}
	}
	return true
}

//go:nosplit
func is(s unsafe.Pointer, text string) bool { return begins(s, text) && at(s, len(text)) == 0 }
