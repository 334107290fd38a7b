package loader

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// AdHoc is roles that were made for one start of a command. The kernel part keeps them for
// as long as a jail has them; before that, for as long as this is open. An exec closes
// it, at a moment when the jail exists; so does the end of the process, however it ends.
type AdHoc struct {
	kernel *Kernel
	lease  int
	IDs    []uint32
}

// adHocAtOnce bounds how many roles of ended jails a start takes away, so that it stays
// quick after many ended at once. More than one, so that none are left behind for good.
const (
	adHocAtOnce = 64
	everything  = math.MaxInt
)

func isAdHoc(id uint32) bool { return id >= uint32(bpf.JailAbiADHOC_ROLE) }

// What users may ask for: so many roles alive of one, so many of all (a user may have many
// ids in a user namespace), and so many bytes of tables for each.
const (
	adHocPerUser  = 64
	adHocForUsers = 2048
	adHocBytes    = 1 << 20
)

// MakeAdHoc compiles the roles and installs them under ids of their own, which are not used
// again before the next boot.
func (k *Kernel) MakeAdHoc(roles []*profiles.Role, vars map[string]string) (*AdHoc, error) {
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	mounts := atomic.LoadUint64(&s.control.Mounts)
	list, err := compileAll(k.refer(), roles, vars)
	if err != nil {
		return nil, err
	}
	return k.installAdHoc(list, mounts, nil)
}

// MakeAdHocFor makes a role of the rules that a user asks for, which that user and root may
// enter. The paths are taken as they are: symbolic links are not followed, since
// that would be done with the rights of this process.
func (k *Kernel) MakeAdHocFor(uid uint32, rules *profiles.AdHoc) (*AdHoc, error) {
	if err := rules.Check(); err != nil {
		return nil, err
	}
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	mounts := atomic.LoadUint64(&s.control.Mounts)
	env, err := environment(k.refer())
	if err != nil {
		return nil, err
	}
	if env.Resolve, err = unfollowed(env.Resolve); err != nil {
		return nil, err
	}
	role, err := rules.Alone(env)
	if err != nil {
		return nil, err
	}
	role.Name = fmt.Sprintf("%s-%d", profiles.AdHocName, uid)
	role.Users = []profiles.Text{{Value: fmt.Sprint(uid)}}
	policy, err := role.Compile(env)
	if err != nil {
		return nil, err
	}
	if len(policy.Tables) > adHocBytes {
		return nil, fmt.Errorf("the rules make %d bytes of tables, at most %d are for users", len(policy.Tables), adHocBytes)
	}
	perUser, forUsers := adHocPerUser, adHocForUsers
	if k.sealed != SealNone {
		perUser, forUsers = roomsPerUser, roomsForUsers
	}
	full := func() error {
		s, err := k.share()
		if err != nil {
			return err
		}
		own, all := s.countAdHoc(role.Name)
		switch {
		case own >= perUser:
			return fmt.Errorf("user %d has %d roles of its own already", uid, perUser)
		case all >= forUsers:
			return fmt.Errorf("users have %d roles of their own already", forUsers)
		}
		return nil
	}
	return k.installAdHoc([]compiled{{role, policy}}, mounts, func() error {
		if full() == nil {
			return nil
		}
		return errors.Join(k.collect(everything), full())
	})
}

// countAdHoc counts the roles that users asked for: those of that name, and all.
func (s *shared) countAdHoc(name string) (own, all int) {
	for i := range s.roles {
		if r := &s.roles[i]; isAdHoc(atomic.LoadUint32(&r.Id)) {
			held := unix.ByteSliceToString(r.Name[:])
			if strings.HasPrefix(held, profiles.AdHocName+"-") {
				all++
			}
			if held == name {
				own++
			}
		}
	}
	return own, all
}

// unfollowed follows symbolic links only in the paths of the rule set `runtime`, which every
// role of rules alone has; all others it leads to the mount that stands for theirs.
func unfollowed(resolve func(string) (string, error)) (func(string) (string, error), error) {
	table, err := os.ReadFile(processOne.mounts())
	if err != nil {
		return nil, fmt.Errorf("mount table of pid 1: %w", err)
	}
	mounts, err := parseMounts(table)
	if err != nil {
		return nil, err
	}
	known, err := profiles.RuntimePrefixes()
	if err != nil {
		return nil, err
	}
	return func(name string) (string, error) {
		if slices.Contains(known, name) {
			return resolve(name)
		}
		return mounts.lead(path.Clean(name)), nil
	}, nil
}

// installAdHoc installs compiled roles; mounts is the count of mount tables before they were
// compiled. allowed is asked under the lock.
func (k *Kernel) installAdHoc(list []compiled, mounts uint64, allowed func() error) (a *AdHoc, err error) {
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	unlock, err := lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := k.collect(adHocAtOnce); err != nil {
		return nil, err
	}
	if allowed != nil {
		if err := allowed(); err != nil {
			return nil, err
		}
	}
	a = &AdHoc{kernel: k}
	if a.lease, err = openLeases(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(a.lease)
		}
	}()
	if k.sealed != SealNone {
		a.IDs, err = k.admitAll(list, a.lease)
		return a, err
	}
	for i, c := range list {
		n := atomic.AddUint64(&s.control.Adhoc, 1)
		if n >= math.MaxUint32-uint64(bpf.JailAbiADHOC_ROLE) {
			return nil, errors.New("the ids of ad-hoc roles are used up until the next boot")
		}
		id := uint32(bpf.JailAbiADHOC_ROLE) + uint32(n)
		if err := holdLease(a.lease, id); err != nil {
			return nil, err
		}
		own := c.role.Clone()
		own.ID = id
		list[i].role = own
		a.IDs = append(a.IDs, id)
	}
	step("leased")
	policies, err := k.putPolicies(list, true)
	if err != nil {
		return nil, err
	}
	if atomic.LoadUint64(&s.control.Mounts) != mounts {
		// Compiled for an older mount table than the one that counts by now.
		atomic.StoreUint64(&s.control.Mounts, 0)
	}
	at, err := k.reserveRoles(list)
	if err != nil {
		return nil, errors.Join(err, k.freePolicies(policies))
	}
	step("reserved")
	for i, c := range list {
		s.point(at[i], c.role, policies[i])
		step("pointed")
	}
	// What events mean is kept for a while after a role's end; that is bounded, too.
	if atomic.LoadUint64(&s.control.Adhoc)%adHocAtOnce == 0 {
		err = k.prunePolicies()
	}
	return a, err
}

// Close takes the roles away again if no jail has them.
func (a *AdHoc) Close() error {
	if err := unix.Close(a.lease); err != nil {
		return err
	}
	return a.kernel.Collect()
}

// Collect takes away the ad-hoc roles of jails that ended, and what interrupted changes of
// policy left behind.
func (k *Kernel) Collect() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	return k.collect(everything)
}

// collect does it under the lock, for so many roles at most.
//
// An ad-hoc role ends when nobody holds its lease and no domain lists it. The leases are
// asked first: a launcher's exec makes the domain before it lets go of the lease. Every
// hook that looks at such a role's policy runs for a task in one of those domains, so
// where there is none nothing needs to be waited for.
func (k *Kernel) collect(most int) error {
	if k.sealed != SealNone {
		return k.collectRooms(most)
	}
	s, err := k.share()
	if err != nil {
		return err
	}
	ended, err := k.endedRoles(most)
	if err != nil {
		return err
	}
	slots, err := k.table("role_slots")
	if err != nil {
		return err
	}
	var policies []uint32
	for _, slot := range ended {
		r := &s.roles[slot]
		if err := slots.Delete(r.Id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		step("unlisted")
		policies = append(policies, atomic.LoadUint32(&r.PolicySlot))
		atomic.StoreUint32(&r.Id, 0)
		step("unlinked")
	}
	if err := k.freePolicies(policies); err != nil {
		return err
	}
	if err := k.collectEntries(most); err != nil {
		return err
	}
	w, err := k.ways()
	if err != nil {
		return err
	}
	// No role's is the policy of the paths of executables.
	left := slices.DeleteFunc(s.unreferenced(), func(slot uint32) bool { return slot == w.Paths })
	if len(left) == 0 {
		return nil
	}
	if err := k.quiesce(); err != nil {
		return err
	}
	return k.freePolicies(left)
}

// endedRoles lists the slots of ad-hoc roles that nobody can hold any more.
func (k *Kernel) endedRoles(most int) ([]uint32, error) {
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	var slots []uint32
	for i := range s.roles {
		if isAdHoc(s.roles[i].Id) {
			slots = append(slots, uint32(i))
		}
	}
	if len(slots) == 0 {
		return nil, nil
	}
	leases, err := openLeases()
	if err != nil {
		return nil, err
	}
	defer unix.Close(leases)
	var free []uint32
	for _, slot := range slots {
		held, err := leaseHeld(leases, s.roles[slot].Id)
		if err != nil {
			return nil, err
		}
		if !held {
			free = append(free, slot)
		}
	}
	if len(free) == 0 {
		return nil, nil
	}
	listed, err := k.listedRoles()
	if err != nil {
		return nil, err
	}
	var ended []uint32
	for _, slot := range free {
		if !listed[s.roles[slot].Id] && len(ended) < most {
			ended = append(ended, slot)
		}
	}
	return ended, nil
}

// listedRoles are the ad-hoc roles that live domains list.
func (k *Kernel) listedRoles() (map[uint32]bool, error) {
	domains, err := k.table("domains")
	if err != nil {
		return nil, err
	}
	const chunk = 1024
	var (
		listed = make(map[uint32]bool)
		keys   = make([]uint64, chunk)
		values = make([]bpf.JailDomain, chunk)
		cursor ebpf.MapBatchCursor
	)
	for {
		n, err := domains.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("domains: %w", err)
		}
		for _, d := range values[:n] {
			for _, m := range d.List[:min(int(d.Depth), len(d.List))] {
				if isAdHoc(m.Role) {
					listed[m.Role] = true
				}
			}
		}
		if err != nil {
			return listed, nil
		}
	}
}

// collectEntries deletes what an interrupted start left in role_slots: an entry that leads
// to a slot which is free, or another role's.
func (k *Kernel) collectEntries(most int) error {
	if most != everything {
		return nil
	}
	s, err := k.share()
	if err != nil {
		return err
	}
	slots, err := k.table("role_slots")
	if err != nil {
		return err
	}
	var (
		id, slot uint32
		stale    []uint32
	)
	it := slots.Iterate()
	for it.Next(&id, &slot) {
		if int(slot) >= len(s.roles) || s.roles[slot].Id != id {
			stale = append(stale, id)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("role slots: %w", err)
	}
	for _, id := range stale {
		if err := slots.Delete(id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// unreferenced lists the policies that no role points at: a loader was ended before it
// flipped the role's word, or after that and before it took the old policy away.
func (s *shared) unreferenced() []uint32 {
	referenced := make(map[uint32]bool)
	for i := range s.roles {
		if s.roles[i].Id != 0 {
			referenced[s.roles[i].PolicySlot] = true
		}
	}
	var slots []uint32
	for i := range s.policies {
		if s.policies[i].Id != 0 && !referenced[uint32(i)] {
			slots = append(slots, uint32(i))
		}
	}
	return slots
}

// Leases are read locks on the root of the bpf file system, one byte for each role id: the
// kernel drops them with the descriptor, whatever becomes of the process, and they mean
// the same in every pid namespace.

func openLeases() (int, error) {
	fd, err := unix.Open(bpffs, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", bpffs, err)
	}
	return fd, nil
}

func leaseRange(typ int16, id uint32) *unix.Flock_t {
	return &unix.Flock_t{Type: typ, Whence: unix.SEEK_SET, Start: int64(id), Len: 1}
}

func holdLease(fd int, id uint32) error {
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, leaseRange(unix.F_RDLCK, id)); err != nil {
		return fmt.Errorf("lease of role %d on %s: %w", id, bpffs, err)
	}
	return nil
}

func leaseHeld(fd int, id uint32) (bool, error) {
	held := leaseRange(unix.F_WRLCK, id)
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, held); err != nil {
		return false, fmt.Errorf("leases on %s: %w", bpffs, err)
	}
	return held.Type != unix.F_UNLCK, nil
}
