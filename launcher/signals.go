package launcher

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The Go runtime installs handlers for nearly all signals and unblocks some before any
// code of ours runs: what the caller had ignored would reach the command as default, and
// some of what it had blocked, unblocked. The runtime remembers both, in two variables
// that no Go program may name; the symbol table of our own file tells where they are.
const (
	ignoredSymbol = "runtime.fwdSig"      // [65]uintptr: each signal's action at start
	blockedSymbol = "runtime.initSigmask" // [2]uint32: the first thread's mask at start
	anchorSymbol  = "jail/launcher.anchor"
	signals       = 65
)

// anchor is a variable whose address is known both here and in the symbol table.
var anchor = uint64(1)

// inheritedSignals is how the caller left the signals.
type inheritedSignals struct {
	actions *[signals]uintptr
	blocked *[2]uint32
}

// findSignals looks the runtime's variables up. An error where the binary is stripped of
// its symbols, cannot be read, or was made by a runtime that keeps them otherwise.
func findSignals() (*inheritedSignals, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	image, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Munmap(image) }()
	at, err := symbolOffsets(image, map[string]uint64{
		anchorSymbol: 8, ignoredSymbol: signals * 8, blockedSymbol: 8,
	})
	if err != nil {
		return nil, err
	}
	base := unsafe.Pointer(&anchor)
	return &inheritedSignals{
		actions: (*[signals]uintptr)(unsafe.Add(base, int(at[ignoredSymbol]-at[anchorSymbol]))),
		blocked: (*[2]uint32)(unsafe.Add(base, int(at[blockedSymbol]-at[anchorSymbol]))),
	}, nil
}

// symbolOffsets gives the addresses of symbols, each of which must have the given size.
func symbolOffsets(image []byte, want map[string]uint64) (map[string]uint64, error) {
	e, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, err
	}
	table, names := e.Section(".symtab"), e.Section(".strtab")
	if table == nil || names == nil {
		return nil, errors.New("no symbol table")
	}
	symbols, err := cut(image, table)
	if err != nil {
		return nil, err
	}
	text, err := cut(image, names)
	if err != nil {
		return nil, err
	}
	found := make(map[string]uint64)
	places := make(map[uint32]string)
	for name := range want {
		// the names follow one another, each between two NULs
		at := bytes.Index(text, []byte("\x00"+name+"\x00"))
		if at < 0 {
			return nil, errors.New(name + ": no such symbol")
		}
		places[uint32(at+1)] = name
	}
	for ; len(symbols) >= elf.Sym64Size; symbols = symbols[elf.Sym64Size:] {
		name, ok := places[binary.NativeEndian.Uint32(symbols)]
		if ok && binary.NativeEndian.Uint64(symbols[16:]) == want[name] {
			found[name] = binary.NativeEndian.Uint64(symbols[8:])
		}
	}
	if len(found) != len(want) {
		return nil, errors.New("the runtime's signal variables have another size")
	}
	return found, nil
}

func cut(image []byte, s *elf.Section) ([]byte, error) {
	if s.Offset > uint64(len(image)) || s.FileSize > uint64(len(image))-s.Offset {
		return nil, errors.New(s.Name + ": beyond the end of the file")
	}
	return image[s.Offset : s.Offset+s.FileSize], nil
}

// restore gives the signals back as the caller had them: the ignored ones for the process,
// the blocked ones for the calling thread, which must be locked and exec next.
func (s *inheritedSignals) restore() error {
	for n := 1; n < signals; n++ {
		if s.actions[n] != 1 { // SIG_IGN
			continue
		}
		// struct kernel_sigaction: handler, flags, restorer, mask
		action := [4]uintptr{1}
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
		if errno != 0 {
			return errno
		}
	}
	var mask unix.Sigset_t
	mask.Val[0] = uint64(s.blocked[0]) | uint64(s.blocked[1])<<32
	return unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
}
