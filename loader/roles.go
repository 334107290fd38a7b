package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// LoadedRole is a role as the kernel holds it.
type LoadedRole struct {
	ID     uint32
	Name   string
	Policy uint64
}

// InstallRoles compiles the roles and makes each point at its new policy: all maps of
// a policy are written before the role's pointer flips, so that no subject sees half
// of it.
func (k *Kernel) InstallRoles(roles []*profiles.Role) error {
	env, err := environment()
	if err != nil {
		return err
	}
	compiled := make([]*profiles.Policy, len(roles))
	for i, r := range roles {
		if compiled[i], err = r.Compile(env); err != nil {
			return err
		}
	}
	for i, r := range roles {
		if err := k.install(r, compiled[i]); err != nil {
			return fmt.Errorf("role %s: %w", r.Name, err)
		}
	}
	return k.prunePolicies()
}

// Reload installs the roles as they are now and says so in the events.
func (k *Kernel) Reload(roles []*profiles.Role) error {
	if err := k.InstallRoles(roles); err != nil {
		return err
	}
	return tell(bpf.JailEventKindEVENT_RELOAD, uint32(len(roles)))
}

func (k *Kernel) install(r *profiles.Role, p *profiles.Policy) error {
	roles, err := k.table("roles")
	if err != nil {
		return err
	}
	slots, err := k.table("role_slots")
	if err != nil {
		return err
	}
	policySlot, policyID, err := k.putPolicy(r, p)
	if err != nil {
		return err
	}
	role := bpf.JailRole{PolicyId: policyID, PolicySlot: policySlot, Id: r.ID}
	copy(role.Name[:len(role.Name)-1], r.Name)
	slot, err := k.slotOf(r.ID)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		slot, err = freeSlot(roles, func(s uint32) (bool, error) {
			var held bpf.JailRole
			err := roles.Lookup(s, &held)
			return held.Id == 0, err
		})
	}
	if err != nil {
		return err
	}
	if err := roles.Put(slot, role); err != nil {
		return err
	}
	return slots.Put(r.ID, slot)
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

// putPolicy writes a policy under a new id into a free slot. Its own entry is written
// last: until then the slot is free.
func (k *Kernel) putPolicy(r *profiles.Role, p *profiles.Policy) (slot uint32, id uint64, err error) {
	policies, err := k.table("policies")
	if err != nil {
		return 0, 0, err
	}
	tables, err := k.table("tables")
	if err != nil {
		return 0, 0, err
	}
	starts, err := k.table("starts")
	if err != nil {
		return 0, 0, err
	}
	slot, err = freeSlot(policies, func(s uint32) (bool, error) {
		var held bpf.JailPolicy
		err := policies.Lookup(s, &held)
		return held.Id == 0, err
	})
	if err != nil {
		return 0, 0, err
	}
	c, err := k.control()
	if err != nil {
		return 0, 0, err
	}
	c.Policies++
	if err := k.setControl(c); err != nil {
		return 0, 0, err
	}
	id = c.Policies
	if len(p.Tables) > 0 {
		inner, err := newTables(p.Tables)
		if err != nil {
			return 0, 0, err
		}
		defer inner.Close()
		if err := tables.Put(slot, uint32(inner.FD())); err != nil {
			return 0, 0, err
		}
	}
	for _, s := range p.Starts {
		key := bpf.JailStartKey{PolicyId: id, Kind: uint32(s.Kind), Value: s.Value}
		if err := starts.Put(key, s.State); err != nil {
			return 0, 0, err
		}
	}
	devices, err := openDevices(p.Devices)
	if err != nil {
		return 0, 0, err
	}
	for _, d := range devices {
		if err := starts.Put(bpf.JailStartKey{PolicyId: id, Kind: d.Kind, Value: d.Value}, uint32(0)); err != nil {
			return 0, 0, err
		}
	}
	if err := newRecord(id, r, p).write(policyDir); err != nil {
		return 0, 0, fmt.Errorf("what its events mean: %w", err)
	}
	return slot, id, policies.Put(slot, encodePolicy(r.ID, slot, id, p))
}

func encodePolicy(role, slot uint32, id uint64, p *profiles.Policy) bpf.JailPolicy {
	return bpf.JailPolicy{
		Id: id, Role: role, Slot: slot,
		Flags: p.Flags, Families: p.Families, Kinds: p.Kinds,
		Capabilities: p.Capabilities,
		FileStates:   p.FileStates, FileClasses: p.FileClasses,
		FileClassAt: p.FileClassAt, FileNextAt: p.FileNextAt, FileAcceptAt: p.FileAcceptAt,
		NetV4At: p.NetV4At, NetV4Len: p.NetV4Len, NetV6At: p.NetV6At, NetV6Len: p.NetV6Len,
		NetNodeAt: p.NetNodeAt, NetNodeLen: p.NetNodeLen,
	}
}

// newTables makes the inner map of one policy and fills it page by page.
func newTables(data []byte) (*ebpf.Map, error) {
	const page = int(bpf.JailAbiPAGE_BYTES)
	pages := (len(data) + page - 1) / page
	spec, err := bpf.LoadJail()
	if err != nil {
		return nil, err
	}
	inner := spec.Maps["tables"].InnerMap.Copy()
	inner.MaxEntries = uint32(pages)
	m, err := ebpf.NewMap(inner)
	if err != nil {
		return nil, translate(err)
	}
	buf := make([]byte, page)
	for i := range pages {
		clear(buf)
		copy(buf, data[i*page:])
		if err := m.Put(uint32(i), buf); err != nil {
			_ = m.Close()
			return nil, err
		}
	}
	return m, nil
}

// freeSlot finds the first free slot; slot 0 is never used.
func freeSlot(m *ebpf.Map, free func(uint32) (bool, error)) (uint32, error) {
	for s := uint32(1); s < m.MaxEntries(); s++ {
		ok, err := free(s)
		if err != nil {
			return 0, err
		}
		if ok {
			return s, nil
		}
	}
	return 0, fmt.Errorf("all %d slots are taken: %w", m.MaxEntries()-1, unix.ENOSPC)
}

// Roles lists what the kernel holds.
func (k *Kernel) Roles() ([]LoadedRole, error) {
	roles, err := k.table("roles")
	if err != nil {
		return nil, err
	}
	slots, err := k.table("role_slots")
	if err != nil {
		return nil, err
	}
	var (
		list     []LoadedRole
		id, slot uint32
	)
	for it := slots.Iterate(); it.Next(&id, &slot); {
		var r bpf.JailRole
		if err := roles.Lookup(slot, &r); err != nil {
			return nil, err
		}
		list = append(list, LoadedRole{ID: id, Name: unix.ByteSliceToString(r.Name[:]), Policy: r.PolicyId})
	}
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
	env, err := environment()
	if err == nil && unix.Access(referenceRoot+"/.", unix.X_OK) == nil {
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

// environment is that as process 1 sees it.
func environment() (profiles.Env, error) {
	table, err := os.ReadFile("/proc/1/mountinfo")
	if err != nil {
		return profiles.Env{}, fmt.Errorf("mount table of pid 1: %w", err)
	}
	mounts, err := parseMounts(table)
	if err != nil {
		return profiles.Env{}, err
	}
	return mounts.environment(), nil
}

// openDevices finds the device nodes below /dev that the patterns match, now.
func openDevices(match func(path string) bool) ([]bpf.JailStartKey, error) {
	if match == nil {
		return nil, nil
	}
	var keys []bpf.JailStartKey
	err := filepath.WalkDir("/dev", func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Lstat(path, &st) != nil || !match(path) {
			return nil // gone meanwhile, or closed to us: not opened by this role
		}
		key := bpf.JailStartKey{Value: unix.Major(st.Rdev)<<20 | unix.Minor(st.Rdev)}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFCHR:
			key.Kind = uint32(bpf.JailStartKindSTART_OPEN_CHAR)
		case unix.S_IFBLK:
			key.Kind = uint32(bpf.JailStartKindSTART_OPEN_BLOCK)
		default:
			return nil
		}
		keys = append(keys, key)
		return nil
	})
	return keys, err
}
