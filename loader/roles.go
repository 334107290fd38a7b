package loader

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// LoadedRole is a role as the kernel holds it.
type LoadedRole struct {
	ID       uint32
	Name     string
	Policy   uint64
	Orphaned bool // no longer configured: it holds for those who have it
	AdHoc    bool // made by one `jail run`
}

// step is called between any two steps that change something; tests end the process in it.
var step = func(string) {}

// InstallRoles compiles the roles and makes each point at its new policy. Whatever can
// fail comes first: the new policies are written beside the old ones, and only then one
// word of each role is stored. Roles that are loaded and not in the list stay, as orphans.
// After an error, or a kill at any step, every role has its old policy or its new one,
// whole; what was written in vain is taken away by the next to come.
func (k *Kernel) InstallRoles(roles []*profiles.Role) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if k.sealed != SealNone {
		return ErrSealed
	}
	if err := k.collect(everything); err != nil {
		return err
	}
	return k.installRoles(roles)
}

// Reload installs the roles as they are now and says so in the events. After a seal only what
// it lets come: see [Refused]; all of it or nothing.
func (k *Kernel) Reload(roles []*profiles.Role) error {
	if k.sealed != SealNone {
		return k.reloadSealed(roles)
	}
	if err := k.Guard(); err != nil {
		return err
	}
	if err := k.InstallRoles(roles); err != nil {
		return err
	}
	return k.tell(bpf.JailEventKindEVENT_RELOAD, uint32(len(roles)))
}

// installRoles does it under the lock.
func (k *Kernel) installRoles(roles []*profiles.Role) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	if err := s.checkIdentity(roles); err != nil {
		return err
	}
	list, err := compileAll(k.refer(), roles, nil)
	if err != nil {
		return err
	}
	return k.installCompiled(list)
}

func (k *Kernel) installCompiled(list []compiled) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	policies, err := k.putPolicies(list, false)
	if err != nil {
		return err
	}
	step("policies")
	at, err := k.reserveRoles(list)
	if err != nil {
		return errors.Join(err, k.freePolicies(policies))
	}
	step("reserved")
	// From here on nothing can fail.
	var old []uint32
	configured := make(map[uint32]bool)
	for i, c := range list {
		r := &s.roles[at[i]]
		configured[at[i]] = true
		if atomic.LoadUint32(&r.Id) != 0 {
			old = append(old, atomic.LoadUint32(&r.PolicySlot))
		}
		s.point(at[i], c.role, policies[i])
		step("flip")
	}
	for i := range s.roles {
		if id := s.roles[i].Id; id != 0 && !isAdHoc(id) && !configured[uint32(i)] {
			atomic.StoreUint32(&s.roles[i].Flags, uint32(bpf.JailRoleStateROLE_ORPHANED))
		}
	}
	step("orphans")
	if len(old) > 0 {
		if err := k.quiesce(); err != nil {
			return err
		}
		step("quiet")
		if err := k.freePolicies(old); err != nil {
			return err
		}
	}
	return k.prunePolicies()
}

// point makes a role's slot hold the role and its policy. Of a role that is there already
// only the word changes that says which policy it has.
func (s *shared) point(slot uint32, role *profiles.Role, policy uint32) {
	r := &s.roles[slot]
	atomic.StoreUint32(&r.PolicySlot, policy)
	if atomic.LoadUint32(&r.Id) == 0 {
		r.Name = [len(r.Name)]uint8{}
		copy(r.Name[:len(r.Name)-1], role.Name)
	}
	atomic.StoreUint32(&r.Flags, 0)
	atomic.StoreUint32(&r.Id, role.ID)
}

// compiled is a role with its policy.
type compiled struct {
	role   *profiles.Role
	policy *profiles.Policy
}

func compileAll(of reference, roles []*profiles.Role, vars map[string]string) ([]compiled, error) {
	env, err := environment(of)
	if err != nil {
		return nil, err
	}
	env.Vars = vars
	list := make([]compiled, len(roles))
	for i, r := range roles {
		p, err := r.Compile(env)
		if err != nil {
			return nil, err
		}
		devices, err := openDevices(p.Devices)
		if err != nil {
			return nil, fmt.Errorf("role %s: %w", r.Name, err)
		}
		p.Starts = append(p.Starts, devices...)
		list[i] = compiled{r, p}
	}
	return list, nil
}

// checkIdentity refuses roles whose id or name belongs to another role that is loaded:
// those who have that one would find themselves under this one.
func (s *shared) checkIdentity(roles []*profiles.Role) error {
	var errs []error
	for _, r := range roles {
		for i := range s.roles {
			held := &s.roles[i]
			name := unix.ByteSliceToString(held.Name[:])
			switch {
			case held.Id == 0 || isAdHoc(held.Id):
			case held.Id == r.ID && name != r.Name:
				errs = append(errs, fmt.Errorf("%s: role %s: id %d is loaded as role %s: %w", r.Place, r.Name, r.ID, name, ErrIdentity))
			case held.Id != r.ID && name == r.Name:
				errs = append(errs, fmt.Errorf("%s: role %s: is loaded with id %d, not %d: %w", r.Place, r.Name, held.Id, r.ID, ErrIdentity))
			}
		}
	}
	return errors.Join(errs...)
}

// reserveRoles gives the slot of each role, and makes the entries of role_slots. An entry
// whose slot is still free leads nowhere.
func (k *Kernel) reserveRoles(list []compiled) ([]uint32, error) {
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	slots, err := k.table("role_slots")
	if err != nil {
		return nil, err
	}
	held := make(map[uint32]uint32)
	for i := range s.roles {
		if id := s.roles[i].Id; id != 0 {
			held[id] = uint32(i)
		}
	}
	at := make([]uint32, len(list))
	fresh := uint32(0)
	for i, c := range list {
		slot, ok := held[c.role.ID]
		if !ok {
			for fresh++; fresh < uint32(len(s.roles)) && s.roles[fresh].Id != 0; {
				fresh++
			}
			if fresh >= uint32(len(s.roles)) {
				return nil, fmt.Errorf("role %s: all %d slots for roles are taken: %w", c.role.Name, len(s.roles)-1, unix.ENOSPC)
			}
			slot = fresh
		}
		if err := putEntry(slots, c.role.ID, slot); err != nil {
			return nil, fmt.Errorf("role %s: %w", c.role.Name, translate(err))
		}
		at[i] = slot
	}
	return at, nil
}

// slotOf tells where a role is.
func (k *Kernel) slotOf(id uint32) (slot uint32, err error) {
	slots, err := k.table("role_slots")
	if err != nil {
		return 0, err
	}
	if err := slots.Lookup(id, &slot); err != nil {
		return 0, fmt.Errorf("role %d: %w", id, err)
	}
	return slot, nil
}

// Pages of the tables that ad-hoc policies get: a power of two from the first on. Up to the
// last, a free slot keeps its tables for the next policy: the kernel waits for all CPUs
// whenever tables change their slot, which takes longer than all else of a start.
const (
	poolPages  = 4
	poolMost   = 64
	poolAtOnce = 16
	pageBytes  = int(bpf.JailAbiPAGE_BYTES)
	startBytes = 8
)

// withStarts are the tables with the keys of the start map behind them, then who may enter,
// then the states: what struct room tells the programs.
func withStarts(p *profiles.Policy) (tables []byte, at uint32) {
	tables = slices.Clone(p.Tables)
	at = uint32(len(tables))
	for _, s := range p.Starts {
		tables = binary.LittleEndian.AppendUint32(tables, uint32(s.Kind))
		tables = binary.LittleEndian.AppendUint32(tables, s.Value)
	}
	for _, e := range p.Entrants {
		tables = binary.LittleEndian.AppendUint32(tables, uint32(e.Kind))
		tables = binary.LittleEndian.AppendUint32(tables, e.ID)
	}
	for _, s := range p.Starts {
		tables = binary.LittleEndian.AppendUint32(tables, s.State)
	}
	return tables, at
}

// putPolicies writes each policy under a new id into a free slot, whole; no role points at
// it yet. After an error it has taken back what it wrote.
func (k *Kernel) putPolicies(list []compiled, adHoc bool) (slots []uint32, err error) {
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	tables := make([][]byte, len(list))
	starts := make([]uint32, len(list))
	pages := make([]int, len(list))
	for i, c := range list {
		tables[i], starts[i] = withStarts(c.policy)
		pages[i] = pagesOf(tables[i])
	}
	if slots, err = k.takeSlots(pages, adHoc); err != nil {
		return nil, err
	}
	step("slots")
	defer func() {
		if err != nil {
			err = errors.Join(err, k.freePolicies(slots))
		}
	}()
	for i, c := range list {
		if err := k.writeTables(slots[i], tables[i]); err != nil {
			return nil, fmt.Errorf("role %s: %w", c.role.Name, err)
		}
		step("tables")
		id := atomic.AddUint64(&s.control.Policies, 1)
		if err := newRecord(id, c.role, c.policy).write(policyDir); err != nil {
			return nil, fmt.Errorf("what the events of role %s mean: %w", c.role.Name, err)
		}
		step("record")
		p := encodePolicy(c.role.ID, slots[i], 0, c.policy)
		p.StartsAt, p.StartsLen, p.Pages = starts[i], uint32(len(c.policy.Starts)), s.policies[slots[i]].Pages
		s.policies[slots[i]] = p
		atomic.StoreUint64(&s.policies[slots[i]].Id, id)
		step("policy")
		if err := k.putStarts(id, c.policy.Starts); err != nil {
			return nil, fmt.Errorf("role %s: %w", c.role.Name, err)
		}
		step("starts")
		if err := k.putEntrants(id, c.policy.Entrants); err != nil {
			return nil, fmt.Errorf("role %s: %w", c.role.Name, err)
		}
	}
	return slots, nil
}

// putEntrants writes who may enter the roles of a policy.
func (k *Kernel) putEntrants(id uint64, list []profiles.Entrant) error {
	entrants, err := k.table("entrants")
	if err != nil {
		return err
	}
	for _, e := range list {
		key := bpf.JailEntrant{PolicyId: id, Kind: uint32(e.Kind), Id: e.ID}
		if err := entrants.Put(key, uint32(1)); err != nil {
			return fmt.Errorf("entrants: %w", translate(err))
		}
	}
	return nil
}

// freeEntrants removes the entrants of policies that are about to go.
func (k *Kernel) freeEntrants(gone map[uint64]bool) error {
	if len(gone) == 0 {
		return nil
	}
	entrants, err := k.table("entrants")
	if err != nil {
		return err
	}
	var (
		key   bpf.JailEntrant
		value uint32
		stale []bpf.JailEntrant
	)
	it := entrants.Iterate()
	for it.Next(&key, &value) {
		if gone[key.PolicyId] {
			stale = append(stale, key)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("entrants: %w", err)
	}
	for _, key := range stale {
		if err := entrants.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("entrants: %w", err)
		}
	}
	return nil
}

// pagesOf is how many pages the tables of a policy take.
func pagesOf(tables []byte) int { return (len(tables) + pageBytes - 1) / pageBytes }

// takeSlots finds a free slot for each policy, with tables of enough pages in it.
func (k *Kernel) takeSlots(pages []int, adHoc bool) ([]uint32, error) {
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	var (
		taken = make([]uint32, len(pages))
		used  = make(map[uint32]bool)
		put   []uint32 // slots that get new tables
		sizes []int
	)
	for i, need := range pages {
		slot := uint32(0)
		if need > 0 {
			slot = s.freeSlot(used, func(pages int) bool { return pages >= need && pages <= max(poolPages, 4*need) })
		}
		if slot == 0 {
			slot = s.freeSlot(used, isEmpty, isAny)
			if slot == 0 {
				return nil, fmt.Errorf("all %d slots for policies are taken: %w", len(s.policies)-1, unix.ENOSPC)
			}
			if need > 0 {
				put, sizes = append(put, slot), append(sizes, roundPages(need, adHoc))
			}
		}
		taken[i] = slot
	}
	if len(put) == 0 {
		return taken, nil
	}
	if adHoc {
		// The wait is the same for one and for many.
		for size := sizes[0]; size <= poolMost && len(put) < poolAtOnce; {
			slot := s.freeSlot(used, isEmpty)
			if slot == 0 {
				break
			}
			put, sizes = append(put, slot), append(sizes, size)
		}
	}
	return taken, k.giveTables(put, sizes)
}

// What a free slot's tables may be to whom it would do.
func isEmpty(pages int) bool { return pages == 0 }
func isAny(int) bool         { return true }

// freeSlot is a slot for a policy that is free and not used, and uses it: one whose tables have
// pages that fit, by the first of these that any fits; 0: there is none.
func (s *shared) freeSlot(used map[uint32]bool, fits ...func(pages int) bool) uint32 {
	for _, fit := range fits {
		for slot := uint32(1); slot < uint32(len(s.policies)); slot++ {
			if p := &s.policies[slot]; p.Id == 0 && !used[slot] && fit(int(p.Pages)) {
				used[slot] = true
				return slot
			}
		}
	}
	return 0
}

// roundPages lets ad-hoc policies of similar size use one another's tables.
func roundPages(need int, adHoc bool) int {
	if !adHoc {
		return need
	}
	n := poolPages
	for n < need {
		n *= 2
	}
	return min(n, int(bpf.JailAbiTABLE_PAGES))
}

// giveTables puts new, empty tables into slots; the kernel waits once.
func (k *Kernel) giveTables(slots []uint32, sizes []int) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	tables, err := k.table("tables")
	if err != nil {
		return err
	}
	fds := make([]uint32, len(slots))
	for i, pages := range sizes {
		inner, err := newTables(pages)
		if err != nil {
			return err
		}
		defer inner.Close()
		fds[i] = uint32(inner.FD())
	}
	for _, slot := range slots {
		s.policies[slot].Pages = 0
	}
	if _, err := tables.BatchUpdate(slots, fds, nil); err != nil {
		// Kernels before 6.x may lack batches for arrays of maps.
		for i, slot := range slots {
			if err := tables.Put(slot, fds[i]); err != nil {
				return fmt.Errorf("tables: %w", translate(err))
			}
		}
	}
	for i, slot := range slots {
		s.policies[slot].Pages = uint32(sizes[i])
	}
	return nil
}

// innerName is what the programs know the tables of policies by.
const innerName = "tables_inner"

// newTables makes the inner map of one policy.
func newTables(pages int) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(tablesSpec(pages))
	if err != nil {
		return nil, fmt.Errorf("tables: %w", translate(err))
	}
	return m, nil
}

// tablesSpec is spelled out, since reading the object takes longer than a whole start may. Linux
// 6.1 takes no inner map without types.
func tablesSpec(pages int) *ebpf.MapSpec {
	word := &btf.Int{Name: "__u32", Size: 4}
	page := &btf.Struct{Name: "page", Size: uint32(pageBytes), Members: []btf.Member{{
		Name: "bytes",
		Type: &btf.Array{Index: word, Type: &btf.Int{Name: "__u8", Size: 1}, Nelems: uint32(pageBytes)},
	}}}
	return &ebpf.MapSpec{
		Name: innerName, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(pageBytes), Key: word, Value: page,
		MaxEntries: uint32(pages), Flags: unix.BPF_F_INNER_MAP,
	}
}

// innerTables opens the tables that a slot has.
func (k *Kernel) innerTables(slot uint32) (*ebpf.Map, error) {
	tables, err := k.table("tables")
	if err != nil {
		return nil, err
	}
	var id ebpf.MapID
	if err := tables.Lookup(slot, &id); err != nil {
		return nil, fmt.Errorf("tables of slot %d: %w", slot, err)
	}
	return k.mapByID(id)
}

func (k *Kernel) writeTables(slot uint32, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	inner, err := k.innerTables(slot)
	if err != nil {
		return err
	}
	defer inner.Close()
	buf := make([]byte, pageBytes)
	for i := 0; i*pageBytes < len(data); i++ {
		clear(buf)
		copy(buf, data[i*pageBytes:])
		if err := inner.Put(uint32(i), buf); err != nil {
			return fmt.Errorf("page %d: %w", i, translate(err))
		}
	}
	return nil
}

// readTables gives bytes of a slot's tables.
func (k *Kernel) readTables(slot, at, n uint32) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	inner, err := k.innerTables(slot)
	if err != nil {
		return nil, err
	}
	defer inner.Close()
	first := at / uint32(pageBytes)
	var data []byte
	buf := make([]byte, pageBytes)
	for page := first; page*uint32(pageBytes) < at+n; page++ {
		if err := inner.Lookup(page, &buf); err != nil {
			return nil, fmt.Errorf("page %d: %w", page, err)
		}
		data = append(data, buf...)
	}
	return data[at-first*uint32(pageBytes):][:n], nil
}

func startKey(policy uint64, s profiles.Start) bpf.JailStartKey {
	return bpf.JailStartKey{PolicyId: policy, Kind: uint32(s.Kind), Value: s.Value}
}

func (k *Kernel) putStarts(id uint64, list []profiles.Start) error {
	starts, err := k.table("starts")
	if err != nil {
		return err
	}
	keys, values := make([]bpf.JailStartKey, 0, len(list)), make([]uint32, 0, len(list))
	for _, s := range list {
		keys = append(keys, startKey(id, s))
		values = append(values, s.State)
	}
	if len(keys) == 0 {
		return nil
	}
	if _, err := starts.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("start states: %w", translate(err))
	}
	return nil
}

// freePolicies takes policies away that no role points at and no program looks at any more.
// The start states go first: they are known by what the policy's tables say.
func (k *Kernel) freePolicies(slots []uint32) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	tables, err := k.table("tables")
	if err != nil {
		return err
	}
	starts, err := k.table("starts")
	if err != nil {
		return err
	}
	// While a policy's id is in its slot, what an interrupted pass left is found again.
	gone := make(map[uint64]bool)
	for _, slot := range slots {
		if id := s.policies[slot].Id; id != 0 {
			gone[id] = true
		}
	}
	if err := k.freeEntrants(gone); err != nil {
		return err
	}
	for _, slot := range slots {
		p := &s.policies[slot]
		if p.Id == 0 {
			continue
		}
		list, err := k.readTables(slot, p.StartsAt, p.StartsLen*startBytes)
		if err != nil {
			return err
		}
		keys := make([]bpf.JailStartKey, 0, p.StartsLen)
		for ; len(list) > 0; list = list[startBytes:] {
			keys = append(keys, bpf.JailStartKey{
				PolicyId: p.Id, Kind: binary.LittleEndian.Uint32(list), Value: binary.LittleEndian.Uint32(list[4:]),
			})
		}
		if err := deleteKeys(starts, keys); err != nil {
			return fmt.Errorf("start states: %w", err)
		}
		step("freed starts")
		atomic.StoreUint64(&p.Id, 0)
		step("freed policy")
		if p.Pages > poolMost {
			if err := tables.Delete(slot); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return err
			}
			p.Pages = 0
		}
	}
	return nil
}

// deleteKeys deletes what is there of the keys.
func deleteKeys(m *ebpf.Map, keys []bpf.JailStartKey) error {
	if len(keys) == 0 {
		return nil
	}
	if _, err := m.BatchDelete(keys, nil); err == nil {
		return nil
	}
	for _, key := range keys {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// quiesce returns when every program that may have looked a policy up before has ended. A
// change of an array of maps makes the kernel wait for that; slot 0 is nobody's.
func (k *Kernel) quiesce() error {
	tables, err := k.table("tables")
	if err != nil {
		return err
	}
	inner, err := newTables(1)
	if err != nil {
		return err
	}
	defer inner.Close()
	return tables.Put(uint32(0), uint32(inner.FD()))
}

func encodePolicy(role, slot uint32, id uint64, p *profiles.Policy) bpf.JailPolicy {
	return bpf.JailPolicy{
		Id: id, Role: role, Slot: slot,
		Flags: p.Flags, Families: p.Families, Kinds: p.Kinds,
		Capabilities: p.Capabilities,
		FileStates:   p.FileStates, FileClasses: p.FileClasses,
		FileClassAt: p.FileClassAt, FileNextAt: p.FileNextAt, FileAcceptAt: p.FileAcceptAt,
		FileBeneathAt: p.FileBeneathAt,
		NetV4At:       p.NetV4At, NetV4Len: p.NetV4Len, NetV6At: p.NetV6At, NetV6Len: p.NetV6Len,
		NetNodeAt: p.NetNodeAt, NetNodeLen: p.NetNodeLen,
		UnixStates: p.UnixStates, UnixClasses: p.UnixClasses,
		UnixClassAt: p.UnixClassAt, UnixNextAt: p.UnixNextAt, UnixAcceptAt: p.UnixAcceptAt,
		NameStates: p.NameStates, NameClasses: p.NameClasses,
		NameClassAt: p.NameClassAt, NameNextAt: p.NameNextAt, NameAcceptAt: p.NameAcceptAt,
	}
}

// Roles lists what the kernel holds, by id.
func (k *Kernel) Roles() ([]LoadedRole, error) {
	s, err := k.share()
	if err != nil {
		return nil, err
	}
	var list []LoadedRole
	for i := range s.roles {
		r := &s.roles[i]
		id := atomic.LoadUint32(&r.Id)
		if id == 0 {
			continue
		}
		list = append(list, LoadedRole{
			ID: id, Name: unix.ByteSliceToString(r.Name[:]), AdHoc: isAdHoc(id),
			Policy:   s.policies[atomic.LoadUint32(&r.PolicySlot)].Id,
			Orphaned: atomic.LoadUint32(&r.Flags)&uint32(bpf.JailRoleStateROLE_ORPHANED) != 0,
		})
	}
	slices.SortFunc(list, func(a, b LoadedRole) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

func (k *Kernel) roleNames() (map[uint32]string, error) {
	list, err := k.Roles()
	names := make(map[uint32]string, len(list))
	for _, r := range list {
		names[r.ID] = r.Name
	}
	return names, err
}

// Environment is what compiling needs to know of this machine. Where process 1 may not be
// looked at, that is, without root, the caller's own mounts stand for its.
func Environment() (profiles.Env, error) {
	env, err := environment(processOne)
	if err == nil && unix.Access(processOne.root()+"/.", unix.X_OK) == nil {
		return env, nil
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return profiles.Env{}, fmt.Errorf("mount table: %w", err)
	}
	mounts, err := parseMounts(table)
	if err != nil {
		return profiles.Env{}, err
	}
	env = mounts.environment()
	env.Resolve = func(name string) (string, error) { return followLinks("/", name) }
	return env, nil
}

// environment is that as the reference sees it.
func environment(of reference) (profiles.Env, error) {
	table, err := os.ReadFile(of.mounts())
	if err != nil {
		return profiles.Env{}, fmt.Errorf("mount table: %w", err)
	}
	mounts, err := parseMounts(table)
	if err != nil {
		return profiles.Env{}, err
	}
	env := mounts.environment()
	env.Account = account
	env.Resolve = func(name string) (string, error) { return mounts.resolve(of.root(), name) }
	env.Resolvers, env.ResolverSockets, err = resolvers(of.root())
	return env, err
}

// openDevices finds the device nodes below /dev that the patterns match, now.
func openDevices(match func(path string) bool) ([]profiles.Start, error) {
	if match == nil {
		return nil, nil
	}
	var list []profiles.Start
	err := filepath.WalkDir("/dev", func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Lstat(path, &st) != nil || !match(path) {
			return nil // gone meanwhile, or closed to us: not opened by this role
		}
		start := profiles.Start{Value: unix.Major(st.Rdev)<<20 | unix.Minor(st.Rdev)}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFCHR:
			start.Kind = profiles.StartKind(bpf.JailStartKindSTART_OPEN_CHAR)
		case unix.S_IFBLK:
			start.Kind = profiles.StartKind(bpf.JailStartKindSTART_OPEN_BLOCK)
		default:
			return nil
		}
		if !slices.Contains(list, start) {
			list = append(list, start)
		}
		return nil
	})
	return list, err
}
