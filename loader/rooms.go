package loader

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// Rooms are places for policies that come after a seal: slots with tables, made before it
// closes. From then on this program asks the kernel part's `admit_role` to fill them, which
// checks what it is told by itself.

// roomSizes are how many rooms a seal makes of how many pages; the smallest first.
var roomSizes = []struct{ rooms, pages int }{{48, 8}, {12, 32}, {4, 128}}

const (
	// roomsPerUser and roomsForUsers bound how many of them users may have for rules of their
	// own: a user and all together.
	roomsPerUser  = 8
	roomsForUsers = 32
	admitTries    = 100
	admitPause    = 10 * time.Millisecond
	roomOfTurns   = uint32(0)
)

// Rooms counts the rooms of a seal.
type Rooms struct {
	Free int `json:"free"`
	All  int `json:"all"`
}

// setAside makes the rooms, before the seal.
func (k *Kernel) setAside() error {
	if err := k.collect(everything); err != nil {
		return err
	}
	s, err := k.share()
	if err != nil {
		return err
	}
	rooms, err := k.table("rooms")
	if err != nil {
		return err
	}
	held, err := k.rooms()
	if err != nil {
		return err
	}
	for slot := range held { // of a seal that was taken back
		if err := rooms.Delete(slot); err != nil {
			return fmt.Errorf("rooms: %w", translate(err))
		}
	}
	var (
		put   []uint32
		sizes []int
		taken = make(map[uint32]int) // pages, by slot
		used  = make(map[uint32]bool)
	)
	for _, size := range roomSizes {
		for range size.rooms {
			slot := s.freeSlot(used, func(pages int) bool { return pages == size.pages }, isEmpty, isAny)
			if slot == 0 {
				return fmt.Errorf("room for roles after the seal: all %d slots for policies are taken: %w", len(s.policies)-1, unix.ENOSPC)
			}
			taken[slot] = size.pages
			if int(s.policies[slot].Pages) != size.pages {
				put, sizes = append(put, slot), append(sizes, size.pages)
			}
		}
	}
	if len(put) > 0 {
		if err := k.giveTables(put, sizes); err != nil {
			return err
		}
	}
	for slot, pages := range taken {
		if err := rooms.Put(slot, bpf.JailRoom{Pages: uint32(pages)}); err != nil {
			return fmt.Errorf("rooms: %w", translate(err))
		}
	}
	return rooms.Put(roomOfTurns, bpf.JailRoom{})
}

// ownTables makes sure, when nobody can change it any more, that nobody put anything else in the
// place of what was made: a room that is not free, or a map that is not guarded as tables are.
// Tables that are another policy's, too, are held twice: see alone.
func (k *Kernel) ownTables() error {
	s, err := k.share()
	if err != nil {
		return err
	}
	tables, err := k.table("tables")
	if err != nil {
		return err
	}
	list, err := k.rooms()
	if err != nil {
		return err
	}
	for slot, room := range list {
		if room != (bpf.JailRoom{Pages: room.Pages}) || int(slot) >= len(s.policies) || s.policies[slot].Id != 0 {
			return fmt.Errorf("not sealed: room %d is not free", slot)
		}
	}
	for slot := range s.policies {
		if _, ok := list[uint32(slot)]; !ok && s.policies[slot].Id == 0 {
			continue
		}
		var id ebpf.MapID
		err := tables.Lookup(uint32(slot), &id)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("tables of slot %d: %w", slot, err)
		}
		m, err := k.mapByID(id)
		if err != nil {
			return err
		}
		info, err := m.Info()
		_ = m.Close()
		if err != nil {
			return err
		}
		if info.Name != innerName {
			return fmt.Errorf("not sealed: the tables of policy %d are another's map, %s", slot, info.Name)
		}
	}
	return nil
}

// rooms are those there are, by slot, and the one that counts.
func (k *Kernel) rooms() (map[uint32]bpf.JailRoom, error) {
	m, err := k.table("rooms")
	if err != nil {
		return nil, err
	}
	var (
		slot uint32
		room bpf.JailRoom
	)
	list := make(map[uint32]bpf.JailRoom)
	it := m.Iterate()
	for it.Next(&slot, &room) {
		list[slot] = room
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("rooms: %w", err)
	}
	return list, nil
}

// countRooms counts them; nil where new roles need none, or cannot come.
func (k *Kernel) countRooms() (*Rooms, error) {
	if k.sealed != SealRoles {
		return nil, nil
	}
	list, err := k.rooms()
	if err != nil {
		return nil, err
	}
	n := new(Rooms)
	for slot, room := range list {
		if slot != roomOfTurns {
			n.All++
			if room.State == uint32(bpf.JailRoomStateROOM_FREE) {
				n.Free++
			}
		}
	}
	return n, nil
}

// admissions counts what was changed under the seal.
func (k *Kernel) admissions() (uint64, error) {
	m, err := k.table("rooms")
	if err != nil {
		return 0, err
	}
	var room bpf.JailRoom
	if err := m.Lookup(roomOfTurns, &room); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, fmt.Errorf("rooms: %w", err)
	}
	return room.Policy, nil
}

// ask has the kernel part do what a says, and the answer is in a.
func (k *Kernel) ask(a *bpf.JailAdmission) error {
	prog, err := k.kept(&k.admit, "admit_role")
	if err != nil {
		return err
	}
	for range admitTries {
		errno, err := prog.Run(&ebpf.RunOptions{Context: *a, ContextOut: a})
		switch {
		case err != nil:
			return fmt.Errorf("admit_role: %w", translate(err))
		case errno == 0:
			return nil
		case unix.Errno(errno) != unix.EAGAIN:
			return unix.Errno(errno)
		}
		time.Sleep(admitPause)
	}
	return fmt.Errorf("admit_role: %w", unix.EAGAIN)
}

// placing is a policy on its way into a room.
type placing struct {
	compiled
	room     uint32
	policy   uint64
	role     uint32
	tables   []byte
	startsAt uint32
}

// takeRoom finds the smallest room that is large enough.
func (k *Kernel) takeRoom(c compiled, adHoc bool) (*placing, error) {
	p := &placing{compiled: c, role: c.role.ID}
	p.tables, p.startsAt = withStarts(c.policy)
	need := uint32(pagesOf(p.tables))
	for range 2 { // another may come first, who did not take the lock
		list, err := k.rooms()
		if err != nil {
			return nil, err
		}
		best := uint32(math.MaxUint32)
		for slot, room := range list {
			if slot != roomOfTurns && room.State == uint32(bpf.JailRoomStateROOM_FREE) && room.Pages >= need && room.Pages < best {
				best, p.room = room.Pages, slot
			}
		}
		if best == math.MaxUint32 {
			return nil, fmt.Errorf("role %s: %d pages of tables: %w", c.role.Name, need, ErrNoRoom)
		}
		a := bpf.JailAdmission{
			Op: uint32(bpf.JailAdmitOpADMIT_TAKE), Room: p.room, StartsAt: p.startsAt,
			StartsLen: uint32(len(c.policy.Starts)), EntrantsLen: uint32(len(c.policy.Entrants)),
		}
		if adHoc {
			a.Role = 1
		}
		err = k.ask(&a)
		if errors.Is(err, unix.EPERM) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", c.role.Name, err)
		}
		p.policy = a.Policy
		if adHoc {
			p.role = a.Role
		}
		step("room")
		return p, nil
	}
	return nil, fmt.Errorf("role %s: %w", c.role.Name, ErrNoRoom)
}

// fillRoom writes the policy, which no role has yet.
func (k *Kernel) fillRoom(p *placing) error {
	a := bpf.JailAdmission{Op: uint32(bpf.JailAdmitOpADMIT_WRITE), Room: p.room, Policy: p.policy}
	for data := p.tables; len(data) > 0; data = data[min(len(data), pageBytes):] {
		clear(a.Bytes[:])
		copy(a.Bytes[:], data)
		if err := k.ask(&a); err != nil {
			return fmt.Errorf("role %s: page %d: %w", p.compiled.role.Name, a.At, err)
		}
		a.At++
		step("page")
	}
	own := p.compiled.role.Clone()
	own.ID = p.role
	if err := newRecord(p.policy, own, p.compiled.policy).write(policyDir); err != nil {
		return fmt.Errorf("what the events of role %s mean: %w", own.Name, err)
	}
	step("record")
	return nil
}

// show makes the role: from then on it can be entered.
func (k *Kernel) show(p *placing) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(s.roles[1:], func(r bpf.JailRole) bool { return r.Id == 0 }) + 1
	if at == 0 {
		return fmt.Errorf("role %s: all %d slots for roles are taken: %w", p.compiled.role.Name, len(s.roles)-1, unix.ENOSPC)
	}
	a := bpf.JailAdmission{
		Op: uint32(bpf.JailAdmitOpADMIT_SHOW), Room: p.room, Policy: p.policy, Role: p.role, At: uint32(at),
		Words: encodePolicy(p.role, p.room, p.policy, p.compiled.policy),
	}
	copy(a.Name[:len(a.Name)-1], p.compiled.role.Name)
	if err := k.ask(&a); err != nil {
		return fmt.Errorf("role %s: %w", p.compiled.role.Name, err)
	}
	step("shown")
	return nil
}

// leave frees a room: that of an ad-hoc role at that slot, or one that no role has.
func (k *Kernel) leave(room uint32, policy uint64, at uint32) error {
	return k.ask(&bpf.JailAdmission{Op: uint32(bpf.JailAdmitOpADMIT_LEAVE), Room: room, Policy: policy, At: at})
}

// admitAll brings roles in after a seal, under the lock; with a lease, as ad-hoc roles, whose
// ids it gives. Nobody sees any before all are written.
func (k *Kernel) admitAll(list []compiled, lease int) (ids []uint32, err error) {
	if k.sealed != SealRoles {
		return nil, ErrSealed
	}
	adHoc := lease >= 0
	var placed []*placing
	shown := 0
	defer func() {
		if err != nil {
			for _, p := range placed[shown:] {
				err = errors.Join(err, k.leave(p.room, p.policy, 0))
			}
		}
	}()
	for _, c := range list {
		p, err := k.takeRoom(c, adHoc)
		if err != nil {
			return nil, err
		}
		placed = append(placed, p)
		ids = append(ids, p.role)
		if adHoc {
			if err := holdLease(lease, p.role); err != nil {
				return nil, err
			}
		}
		if err := k.fillRoom(p); err != nil {
			return nil, err
		}
	}
	for _, p := range placed {
		if err := k.show(p); err != nil {
			return nil, err
		}
		shown++
	}
	if adHoc && placed[0].policy%adHocAtOnce != 0 { // as before a seal
		return ids, nil
	}
	return ids, k.prunePolicies()
}

// collectRooms frees, under the lock, the rooms of ad-hoc roles that nobody holds, and those that
// were taken and not filled to the end. The kernel part sees by itself that no jail has the role.
func (k *Kernel) collectRooms(most int) error {
	if k.sealed != SealRoles {
		return nil // what is there stays
	}
	list, err := k.rooms()
	if err != nil {
		return err
	}
	leases := -1
	defer func() {
		if leases >= 0 {
			_ = unix.Close(leases)
		}
	}()
	for slot, room := range list {
		switch {
		case slot == roomOfTurns, room.State == uint32(bpf.JailRoomStateROOM_FREE):
			continue
		case room.State == uint32(bpf.JailRoomStateROOM_TAKEN):
			if err := k.leave(slot, room.Policy, 0); err != nil && !errors.Is(err, unix.EPERM) {
				return fmt.Errorf("room %d: %w", slot, err)
			}
			continue
		case room.Role == 0, room.Domains != 0, most == 0:
			continue
		}
		if leases < 0 {
			if leases, err = openLeases(); err != nil {
				return err
			}
		}
		held, err := leaseHeld(leases, room.Role)
		if err != nil {
			return err
		}
		at, serr := k.slotOf(room.Role)
		if held || serr != nil {
			continue
		}
		most--
		err = k.leave(slot, room.Policy, at)
		if err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("role %d: %w", room.Role, err)
		}
	}
	return nil
}

// refuseForRoom marks the new roles that there is no room for.
func (k *Kernel) refuseForRoom(changes []RoleChange, next []compiled) error {
	if k.sealed != SealRoles {
		return nil
	}
	list, err := k.rooms()
	if err != nil {
		return err
	}
	var free []uint32 // pages
	for slot, room := range list {
		if slot != roomOfTurns && room.State != uint32(bpf.JailRoomStateROOM_SHOWN) {
			free = append(free, room.Pages)
		}
	}
	slices.Sort(free)
	for i, c := range next {
		if changes[i].Kind != "new" {
			continue
		}
		tables, _ := withStarts(c.policy)
		need := uint32(pagesOf(tables))
		at := slices.IndexFunc(free, func(pages uint32) bool { return pages >= need })
		if at < 0 {
			changes[i].Refused = []string{fmt.Sprintf("%d pages of tables: %v", need, ErrNoRoom)}
			continue
		}
		free = slices.Delete(free, at, at+1)
	}
	return nil
}

// reloadSealed brings new roles in and makes others stricter, or changes nothing.
func (k *Kernel) reloadSealed(roles []*profiles.Role) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := k.collect(everything); err != nil {
		return err
	}
	changes, next, err := k.diff(roles)
	if err != nil {
		return err
	}
	if err := Refused(changes); err != nil || len(changes) == 0 {
		return err
	}
	var fresh, stricter []compiled
	for i, c := range next {
		if changes[i].Kind == "new" {
			fresh = append(fresh, c)
		} else {
			stricter = append(stricter, c)
		}
	}
	if _, err := k.admitAll(fresh, -1); err != nil { // what can fail
		return err
	}
	for _, c := range stricter {
		if err := k.narrow(c); err != nil {
			return err
		}
	}
	return k.tell(bpf.JailEventKindEVENT_RELOAD, uint32(len(next)))
}

// narrow takes away from a loaded role's policy what this one has not. Its tables are the same.
func (k *Kernel) narrow(c compiled) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	slot, err := k.slotOf(c.role.ID)
	if err != nil {
		return err
	}
	held := s.policies[s.roles[slot].PolicySlot]
	a := bpf.JailAdmission{
		Op: uint32(bpf.JailAdmitOpADMIT_NARROW), Role: c.role.ID, Policy: held.Id,
		Words: encodePolicy(c.role.ID, held.Slot, held.Id, c.policy),
	}
	if err := k.ask(&a); err != nil {
		return fmt.Errorf("role %s: %w", c.role.Name, err)
	}
	step("narrowed")
	return newRecord(held.Id, c.role, c.policy).write(policyDir)
}
