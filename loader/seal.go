package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"jail/bpf"
)

// Seal says what a seal allows still.
type Seal uint32

// The kinds of seal, each closing more than the one before.
const (
	SealNone   = Seal(bpf.JailSealSEAL_NONE)
	sealing    = Seal(bpf.JailSealSEAL_CLOSING) // not finished
	SealRoles  = Seal(bpf.JailSealSEAL_ROLES)   // what is loaded stays, or gets stricter; roles and marks may come
	SealStrict = Seal(bpf.JailSealSEAL_STRICT)  // and none come
)

func (s Seal) String() string {
	return map[Seal]string{SealNone: "no", sealing: "unfinished", SealRoles: "yes", SealStrict: "strict"}[s]
}

// Sealed tells whether what is loaded was sealed when it was opened.
func (k *Kernel) Sealed() bool { return k.sealed > sealing }

const (
	sealTries = 20
	sealPause = 50 * time.Millisecond
)

// sealWritable are the maps that are written after a seal, by this program only: requests for
// enrollment, which the programs check, and what the reader of events has read.
var sealWritable = []string{"stamps", "trees", "events"}

// Seal closes what is loaded to everybody until the next boot. It holds from the moment when it
// returns nil, and [ErrSealed] is what changes are refused with, but for those that the level
// leaves. First nothing new gets
// hold of our objects, then it is made sure that nobody has any from before: [ErrHeld] says
// who, and the seal is taken back.
func (k *Kernel) Seal(level Seal) error {
	unlock, err := lockOutside()
	if err != nil {
		return err
	}
	defer unlock()
	if k.sealed >= level {
		return nil
	}
	if k.sealed <= sealing {
		if err := k.maySeal(); err != nil {
			return err
		}
		if err := k.Guard(); err != nil {
			return err
		}
		if k.sealed == SealNone && level == SealRoles {
			if err := k.setAside(); err != nil {
				return err
			}
			step("set aside")
		}
		if err := k.sealTo(sealing); err != nil && k.sealed != sealing {
			return err
		}
		if err := k.reopen(); err != nil {
			return errors.Join(err, k.sealTo(SealNone))
		}
		if err := k.alone(); err != nil {
			return errors.Join(err, k.sealTo(SealNone), k.reopen())
		}
		if err := k.ownTables(); err != nil {
			return errors.Join(err, k.sealTo(SealNone), k.reopen())
		}
		if err := k.attachSysctl(); err != nil {
			return errors.Join(err, k.sealTo(SealNone), k.reopen())
		}
	}
	if err := k.sealTo(level); err != nil {
		return err
	}
	k.sealed = level
	return k.tell(bpf.JailEventKindEVENT_SEAL, uint32(level))
}

// maySeal: what is sealed must be whole, and this program's.
func (k *Kernel) maySeal() error {
	if _, err := os.Stat("/etc/initrd-release"); err == nil {
		return fmt.Errorf("seal after the root file system is mounted: the move to it would be refused: %w", ErrNotSupported)
	}
	c, err := k.control()
	if err != nil {
		return err
	}
	if _, second := acts(c.Instance); !k.set.mine() || second != 0 {
		return errors.New("another version's programs act: run `jail upgrade` first")
	}
	if k.sealed == sealing {
		return nil // the door and the rest were looked at
	}
	return k.whole()
}

// sealTo has the kernel part change the word; no descriptor can, after a seal.
func (k *Kernel) sealTo(level Seal) error {
	prog, err := k.program("seal_to")
	if err != nil {
		return err
	}
	defer prog.Close()
	errno, err := prog.Run(&ebpf.RunOptions{Context: bpf.JailSealing{Level: uint32(level)}})
	if err != nil {
		return fmt.Errorf("seal_to: %w", translate(err))
	}
	if errno != 0 {
		return fmt.Errorf("seal: %w", unix.Errno(errno))
	}
	return nil
}

// reopen gives back every descriptor and mapping, and opens what may be open now.
func (k *Kernel) reopen() error {
	if err := k.Close(); err != nil {
		return err
	}
	fresh, err := Open()
	if err != nil {
		return err
	}
	k.sharing.Lock()
	defer k.sharing.Unlock()
	k.set, k.maps, k.sealed, k.shared = fresh.set, fresh.maps, fresh.sealed, nil
	return nil
}

// alone is nil when nobody but this process holds anything of ours. Processes of ours that
// are about to end get the time for it.
func (k *Kernel) alone() error {
	pins, err := k.pinsOfMaps() // nobody can make or remove one any more
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		held, err := k.heldElsewhere(pins, try == sealTries)
		if err != nil || len(held) == 0 {
			return err
		}
		if try == sealTries {
			return fmt.Errorf("%w: %s", ErrHeld, strings.Join(held, "; "))
		}
		time.Sleep(sealPause)
	}
}

// heldElsewhere lists what is referred to by more than the pins, the programs and this process;
// by whom, where that is to be found out.
func (k *Kernel) heldElsewhere(pins map[ebpf.MapID]pinnedMap, byWhom bool) ([]string, error) {
	programs, foreign, err := k.usersOfMaps(pins)
	if err != nil || len(foreign) > 0 {
		return foreign, err
	}
	own := make(map[ebpf.MapID]uint64)
	for _, m := range k.maps {
		id, err := idOf(m)
		if err != nil {
			return nil, err
		}
		own[id]++
	}
	uses, err := readRecords[bpf.JailMapUse](k, "maps_iter")
	if err != nil {
		return nil, err
	}
	var held []string
	for _, use := range uses {
		id := ebpf.MapID(use.Id)
		users, references := uint64(pins[id].pins)+own[id], programs[id]
		if use.Inner != 0 {
			references = 1 // the map of maps
		}
		// One more reference is the iterator's.
		if use.Users > users || use.References > use.Users+references+1 || use.Writers > 0 {
			who := ""
			if byWhom {
				who = holders(id)
			}
			held = append(held, fmt.Sprintf("map %s (id %d): %s", pins[id].name, id, who))
		}
	}
	return held, nil
}

// holders names the processes that have a descriptor for a map.
func holders(id ebpf.MapID) string {
	want := "map_id:\t" + strconv.Itoa(int(id))
	seen := make(map[string]bool)
	infos, _ := filepath.Glob("/proc/[0-9]*/fdinfo/*")
	self := fmt.Sprintf("/proc/%d/", os.Getpid())
	for _, info := range infos {
		if strings.HasPrefix(info, self) {
			continue
		}
		data, err := os.ReadFile(info)
		if err != nil || !slices.Contains(strings.Split(string(data), "\n"), want) {
			continue
		}
		pid := strings.Split(info, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		seen[fmt.Sprintf("process %s (%s)", pid, strings.TrimSpace(string(name)))] = true
	}
	if len(seen) == 0 {
		return "memory that is mapped, a program, or a descriptor on its way"
	}
	list := make([]string, 0, len(seen))
	for s := range seen {
		list = append(list, s)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

type pinnedMap struct {
	name string
	pins int
}

// pinsOfMaps counts the pins of each map of ours, over all sets.
func (k *Kernel) pinsOfMaps() (map[ebpf.MapID]pinnedMap, error) {
	paths, err := filepath.Glob(mapsDir + "/*/*")
	if err != nil {
		return nil, err
	}
	list := make(map[ebpf.MapID]pinnedMap)
	for _, path := range paths {
		m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, translate(err))
		}
		id, err := idOf(m)
		_ = m.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list[id] = pinnedMap{filepath.Base(path), list[id].pins + 1}
	}
	return list, nil
}

func idOf(m *ebpf.Map) (ebpf.MapID, error) {
	info, err := m.Info()
	if err != nil {
		return 0, err
	}
	id, ok := info.ID()
	if !ok {
		return 0, errors.New("the kernel gives maps no id")
	}
	return id, nil
}

// usersOfMaps counts the programs that use each map of ours, and lists those of others that
// could do something to ours.
func (k *Kernel) usersOfMaps(ours map[ebpf.MapID]pinnedMap) (users map[ebpf.MapID]uint64, foreign []string, err error) {
	programs, mine, err := k.programs()
	if err != nil {
		return nil, nil, err
	}
	iterators := make(map[uint32]bool) // by what they go over
	for _, p := range programs {
		if mine[p.Id] && ebpf.AttachType(p.AttachType) == ebpf.AttachTraceIter {
			iterators[p.Target] = true
		}
	}
	users = make(map[ebpf.MapID]uint64)
	for _, p := range programs {
		touches := false
		for _, id := range p.Maps[:min(int(p.Count), len(p.Maps))] {
			if _, ok := ours[ebpf.MapID(id)]; ok {
				users[ebpf.MapID(id)]++
				touches = true
			}
		}
		name := fmt.Sprintf("program %d (%s)", p.Id, unix.ByteSliceToString(p.Name[:]))
		switch {
		case mine[p.Id]:
		case touches:
			foreign = append(foreign, name+" uses a map of ours")
		case p.Program != 0 && mine[p.Program]:
			foreign = append(foreign, name+" is made for one of ours")
		case ebpf.AttachType(p.AttachType) == ebpf.AttachTraceIter && iterators[p.Target]:
			foreign = append(foreign, name+" could take the place of an iterator of ours")
		}
	}
	replaced, err := replacedPrograms(mine)
	return users, append(foreign, replaced...), err
}

// programs lists all programs of the kernel, and which are ours.
func (k *Kernel) programs() (list []bpf.JailProgramUse, mine map[uint32]bool, err error) {
	guarded, err := k.table("guarded_objects")
	if err != nil {
		return nil, nil, err
	}
	if list, err = readRecords[bpf.JailProgramUse](k, "programs_iter"); err != nil {
		return nil, nil, err
	}
	mine = make(map[uint32]bool)
	for _, p := range list {
		var use uint32
		if guarded.Lookup(uint64(bpf.JailGuardObjectGUARD_PROGRAM)<<32|uint64(p.Id), &use) == nil {
			mine[p.Id] = true
		}
	}
	return list, mine, nil
}

// replacedPrograms lists the links that put another program in the place of a function of ours.
func replacedPrograms(mine map[uint32]bool) (list []string, err error) {
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil {
			return nil, fmt.Errorf("link %d: %w", it.ID, err)
		}
		t := info.Tracing()
		if t == nil || ebpf.AttachType(t.AttachType) != ebpf.AttachNone || mine[uint32(info.Program)] {
			continue // what replaces functions has no attach type
		}
		if mine[t.TargetObjectId] {
			list = append(list, fmt.Sprintf("program %d replaces a function of ours", info.Program))
		}
	}
	return list, it.Err()
}

// topCgroup opens the topmost control group, on a mount that nobody else sees.
func topCgroup() (int, error) {
	fs, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("cgroup2: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("cgroup2: %w", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("cgroup2: %w", err)
	}
	defer unix.Close(mount)
	return unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// attachSysctl guards kernel.ftrace_enabled. There is no link that could be detached: the
// program stays for as long as the control group, which is for ever.
func (k *Kernel) attachSysctl() error {
	top, err := topCgroup()
	if err != nil {
		return err
	}
	defer unix.Close(top)
	prog, err := k.program(sysctlProgram)
	if err != nil {
		return err
	}
	defer prog.Close()
	err = link.RawAttachProgram(link.RawAttachProgramOptions{
		Target: top, Program: prog, Attach: ebpf.AttachCGroupSysctl, Flags: unix.BPF_F_ALLOW_MULTI,
	})
	if err != nil && !errors.Is(err, unix.EINVAL) { // there already
		return fmt.Errorf("attach seal_sysctl: %w", translate(err))
	}
	return nil
}

// unclosed lists what a seal could not close on this machine, or does not.
func (k *Kernel) unclosed() ([]string, error) {
	if k.sealed <= sealing {
		return nil, nil
	}
	list := []string{"disks and swap areas, written to below their file systems"}
	programs, mine, err := k.programs()
	if err != nil {
		return nil, err
	}
	var watching []string
	for _, p := range programs {
		switch ebpf.ProgramType(p.Type) {
		case ebpf.Kprobe, ebpf.TracePoint, ebpf.PerfEvent, ebpf.RawTracepoint, ebpf.RawTracepointWritable, ebpf.Tracing, ebpf.Extension, ebpf.LSM:
			if !mine[p.Id] {
				watching = append(watching, strconv.Itoa(int(p.Id)))
			}
		}
	}
	if len(watching) > 0 {
		list = append(list, "programs loaded before that watch the kernel: "+strings.Join(watching, " "))
	}
	return list, nil
}

// mapByID opens a map by its id, to be read where only that is open.
func (k *Kernel) mapByID(id ebpf.MapID) (*ebpf.Map, error) {
	if k.sealed == SealNone {
		return ebpf.NewMapFromID(id)
	}
	attr := struct{ id, next, flags uint32 }{id: uint32(id), flags: unix.BPF_F_RDONLY}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_GET_FD_BY_ID, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return nil, fmt.Errorf("map %d: %w", id, translate(errno))
	}
	return ebpf.NewMapFromFD(int(fd))
}

// unchangedWays is nil where these ways in are what is loaded; else it says what the seal
// keeps. The caller has the lock.
func (k *Kernel) unchangedWays(w Ways) error {
	changes, err := k.diffWays(w)
	if err != nil {
		return err
	}
	return Refused(changes)
}

// Refused is nil where a seal lets all these changes come; else an error that says what it
// does not.
func Refused(changes []RoleChange) error {
	var list []string
	for _, c := range changes {
		switch {
		case c.Refused == nil:
		case c.Way != "":
			list = append(list, c.String())
		default:
			list = append(list, fmt.Sprintf("role %s: %s", c.Role, strings.Join(c.Refused, ", ")))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return fmt.Errorf("%w: nothing was changed: not known to be stricter, so that it takes a reboot: %s", ErrSealed, strings.Join(list, "; "))
}
