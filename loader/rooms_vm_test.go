//go:build vm

package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

const roomsDir = "/srv/rooms"

// roomRoles parses roles that a test of rooms loads.
func roomRoles(t *testing.T, text string) []*profiles.Role {
	t.Helper()
	return roleSet(t, "rooms.toml", text).Roles()
}

const heldRole = `
[roles.held]
id = 600
allow_file_access = true
allow_exec = true
capabilities = ["syslog"]
[[roles.held.files]]
path = "/srv/rooms/closed"
deny = true
`

const freshRole = `
[roles.fresh]
id = 601
allow_file_access = true
allow_exec = true
[[roles.fresh.files]]
path = "/srv/rooms/closed"
deny = true
`

// held is what a policy's slot, its tables and what the maps have of it are.
type heldPolicy struct {
	role   bpf.JailRole
	policy bpf.JailPolicy
	tables []byte
	starts map[bpf.JailStartKey]uint32
}

func (k *Kernel) heldPolicy(t *testing.T, role uint32) (h heldPolicy) {
	t.Helper()
	slot, err := k.slotOf(role)
	if err == nil {
		err = k.maps["roles"].Lookup(slot, &h.role)
	}
	if err == nil {
		err = k.maps["policies"].Lookup(h.role.PolicySlot, &h.policy)
	}
	if err == nil {
		h.tables, err = k.readTables(h.policy.Slot, 0, h.policy.Pages*uint32(pageBytes))
	}
	if err != nil {
		t.Fatal(err)
	}
	h.starts = make(map[bpf.JailStartKey]uint32)
	var key bpf.JailStartKey
	var state uint32
	for it := k.maps["starts"].Iterate(); it.Next(&key, &state); {
		if key.PolicyId == h.policy.Id {
			h.starts[key] = state
		}
	}
	return h
}

// admitRaw asks once, whatever it is.
func admitRaw(t *testing.T, k *Kernel, a bpf.JailAdmission) (bpf.JailAdmission, unix.Errno) {
	t.Helper()
	err := k.ask(&a)
	if errno, ok := errnoOf(err); ok {
		return a, unix.Errno(errno)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a, 0
}

// TestRooms seals the machine, so that it has one of its own (suite vm-rooms). It asks
// admit_role for what our program never would, from the file that our program is known by.
func TestRooms(t *testing.T) {
	if err := os.MkdirAll(roomsDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"closed", "open"} {
		if err := os.WriteFile(roomsDir+"/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	configured := append(profiles.Builtins().Roles(), roomRoles(t, heldRole)...)
	k, err := Load(t.Context(), Options{Roles: configured})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	take := bpf.JailAdmission{Op: uint32(bpf.JailAdmitOpADMIT_TAKE)}
	for slot := range uint32(3) {
		take.Room = slot
		if _, errno := admitRaw(t, k, take); errno != unix.EPERM {
			t.Errorf("before the seal: %v, want EPERM", errno)
		}
	}
	refusesForeignRooms(t, k)
	if err := k.Seal(SealRoles); err != nil {
		t.Fatal(err)
	}
	held := k.heldPolicy(t, 600)
	unchanged := func(t *testing.T) {
		t.Helper()
		now := k.heldPolicy(t, 600)
		if !reflect.DeepEqual(now, held) {
			t.Errorf("the loaded role changed: %+v, was %+v", now.policy, held.policy)
		}
	}
	access := func(t *testing.T, role uint32, file string, want unix.Errno) {
		t.Helper()
		if _, errno := jailedChild(t, int(role), 0, "open", roomsDir+"/"+file); errno != want {
			t.Errorf("role %d opens %s: %v, want %v", role, file, errno, want)
		}
	}
	withFresh := append(slices.Clone(configured), roomRoles(t, freshRole)...)
	if err := k.Reload(withFresh); err != nil {
		t.Fatal(err)
	}
	access(t, 601, "closed", unix.EACCES)
	access(t, 601, "open", 0)
	if _, errno := child(t, 0, "open", roomsDir+"/closed"); errno != 0 {
		t.Errorf("control: %v", errno)
	}
	fresh := k.heldPolicy(t, 601)
	freshAt, err := k.slotOf(601)
	if err != nil {
		t.Fatal(err)
	}
	list, err := k.rooms()
	if err != nil {
		t.Fatal(err)
	}
	room := uint32(0)
	for slot, r := range list {
		if slot != roomOfTurns && r.State == uint32(bpf.JailRoomStateROOM_FREE) {
			room = slot
		}
	}
	policySlots := uint32(bpf.JailAbiPOLICY_SLOTS)
	no := func(t *testing.T, what string, want unix.Errno, a bpf.JailAdmission) {
		t.Helper()
		if _, errno := admitRaw(t, k, a); errno != want {
			t.Errorf("%s: %v, want %v", what, errno, want)
		}
		t.Logf("attack S01  %-40s %v", what, want)
	}
	op := func(o bpf.JailAdmitOp, room uint32, policy uint64) bpf.JailAdmission {
		return bpf.JailAdmission{Op: uint32(o), Room: room, Policy: policy}
	}
	t.Run("TakesFreeRoomsOnly", func(t *testing.T) {
		for what, slot := range map[string]uint32{
			"a loaded role's slot": held.policy.Slot, "slot 0": 0, "a slot out of range": policySlots, "the last number": 1<<32 - 1,
		} {
			no(t, "take "+what, unix.EINVAL, op(bpf.JailAdmitOpADMIT_TAKE, slot, 0))
			no(t, "write "+what, unix.EINVAL, op(bpf.JailAdmitOpADMIT_WRITE, slot, held.policy.Id))
			no(t, "show "+what, unix.EINVAL, op(bpf.JailAdmitOpADMIT_SHOW, slot, held.policy.Id))
			no(t, "leave "+what, unix.EINVAL, op(bpf.JailAdmitOpADMIT_LEAVE, slot, held.policy.Id))
		}
		no(t, "take a room in use", unix.EPERM, op(bpf.JailAdmitOpADMIT_TAKE, fresh.policy.Slot, 0))
		no(t, "write a room in use", unix.EPERM, op(bpf.JailAdmitOpADMIT_WRITE, fresh.policy.Slot, fresh.policy.Id))
		no(t, "show a room in use", unix.EPERM, op(bpf.JailAdmitOpADMIT_SHOW, fresh.policy.Slot, fresh.policy.Id))
		leave := op(bpf.JailAdmitOpADMIT_LEAVE, fresh.policy.Slot, fresh.policy.Id)
		leave.At = freshAt
		no(t, "leave the room of a role that stays", unix.EPERM, leave)
		no(t, "write a free room", unix.EPERM, op(bpf.JailAdmitOpADMIT_WRITE, room, 0))
		no(t, "show a free room", unix.EPERM, op(bpf.JailAdmitOpADMIT_SHOW, room, 0))
		no(t, "leave a free room", unix.EPERM, op(bpf.JailAdmitOpADMIT_LEAVE, room, 0))
		no(t, "no operation", unix.EINVAL, op(0, room, 0))
		no(t, "another operation", unix.EINVAL, op(77, room, 0))
		long := op(bpf.JailAdmitOpADMIT_TAKE, room, 0)
		long.StartsLen = 1 << 31
		no(t, "endless start states", unix.E2BIG, long)
		long.StartsLen, long.EntrantsLen = 0, 1<<32-1
		no(t, "endless entrants", unix.E2BIG, long)
		if now := k.heldPolicy(t, 601); !reflect.DeepEqual(now, fresh) {
			t.Error("the new role changed")
		}
		unchanged(t)
	})
	t.Run("ShowsWholeRolesWithNewIdsOnly", func(t *testing.T) {
		taken, errno := admitRaw(t, k, op(bpf.JailAdmitOpADMIT_TAKE, room, 0))
		if errno != 0 {
			t.Fatal(errno)
		}
		id := taken.Policy
		no(t, "take it again", unix.EPERM, op(bpf.JailAdmitOpADMIT_TAKE, room, 0))
		write := op(bpf.JailAdmitOpADMIT_WRITE, room, id)
		for _, page := range []uint32{list[room].Pages, 1 << 20, 1<<32 - 1} {
			write.At = page
			no(t, "a page out of range", unix.EINVAL, write)
		}
		write.At, write.Policy = 0, id-1
		no(t, "another policy's page", unix.EPERM, write)
		at := uint32(slices.IndexFunc(mustShare(t, k).roles[1:], func(r bpf.JailRole) bool { return r.Id == 0 }) + 1)
		show := op(bpf.JailAdmitOpADMIT_SHOW, room, id)
		show.Role, show.At = 602, at
		bad := func(what string, want unix.Errno, change func(*bpf.JailAdmission)) {
			t.Helper()
			a := show
			change(&a)
			no(t, what, want, a)
		}
		bad("a loaded role's id", unix.EEXIST, func(a *bpf.JailAdmission) { a.Role = 600 })
		bad("a new role's id", unix.EEXIST, func(a *bpf.JailAdmission) { a.Role = 601 })
		bad("no id", unix.EINVAL, func(a *bpf.JailAdmission) { a.Role = 0 })
		bad("an ad-hoc role's id", unix.EINVAL, func(a *bpf.JailAdmission) { a.Role = 1<<31 + 1 })
		bad("no role's id", unix.EINVAL, func(a *bpf.JailAdmission) { a.Role = uint32(bpf.JailAbiNO_ROLE) })
		bad("a role's slot", unix.EEXIST, func(a *bpf.JailAdmission) { a.At = freshAt })
		bad("role slot 0", unix.EINVAL, func(a *bpf.JailAdmission) { a.At = 0 })
		bad("a role slot out of range", unix.EINVAL, func(a *bpf.JailAdmission) { a.At = policySlots })
		bad("another policy", unix.EPERM, func(a *bpf.JailAdmission) { a.Policy = held.policy.Id })
		// What the words say of whose they are does not count.
		show.Words = held.policy
		if _, errno := admitRaw(t, k, show); errno != 0 {
			t.Fatal(errno)
		}
		now := k.heldPolicy(t, 602)
		if p := now.policy; p.Id != id || p.Role != 602 || p.Slot != room || p.Pages != list[room].Pages || p.Starts != 0 || p.StartsLen != 0 {
			t.Errorf("the words count: %+v", p)
		}
		access(t, 602, "open", 4095) // it has no tables: its exec is refused
		unchanged(t)
		access(t, 600, "closed", unix.EACCES)
		access(t, 600, "open", 0)
	})
	t.Run("NarrowsAndNeverWidens", func(t *testing.T) {
		narrow := bpf.JailAdmission{Op: uint32(bpf.JailAdmitOpADMIT_NARROW), Role: 600, Words: held.policy}
		wider := func(what string, change func(*bpf.JailPolicy)) {
			t.Helper()
			a := narrow
			change(&a.Words)
			no(t, "wider: "+what, unix.EPERM, a)
			unchanged(t)
		}
		for bit := range 32 {
			if flag := uint32(1) << bit; held.policy.Flags&flag == 0 && flag != restrictions {
				wider("flags", func(p *bpf.JailPolicy) { p.Flags |= flag })
				wider("a flag for another", func(p *bpf.JailPolicy) { p.Flags = flag })
			}
		}
		wider("families", func(p *bpf.JailPolicy) { p.Families |= 1 << 63 })
		wider("kinds", func(p *bpf.JailPolicy) { p.Kinds |= 1 << 31 })
		wider("capabilities", func(p *bpf.JailPolicy) { p.Capabilities |= 1 << 21 })
		gone := narrow
		gone.Role = 699
		no(t, "a role that is not loaded", unix.ENOENT, gone)
		// Tables and places are not asked for.
		odd := narrow
		odd.Words = bpf.JailPolicy{
			Id: 1, Role: 1, Slot: 1, FileStates: 1, FileNextAt: 1, Pages: 1, NetNodeLen: 1, StartsLen: 1,
			Flags: held.policy.Flags, Families: held.policy.Families, Kinds: held.policy.Kinds, Capabilities: held.policy.Capabilities,
		}
		if _, errno := admitRaw(t, k, odd); errno != 0 {
			t.Error(errno)
		}
		unchanged(t)
		// A restriction comes and does not go.
		stricter := narrow
		stricter.Words.Flags = held.policy.Flags | restrictions
		stricter.Words.Capabilities = 0
		if _, errno := admitRaw(t, k, stricter); errno != 0 {
			t.Error(errno)
		}
		no(t, "wider: what was taken away", unix.EPERM, narrow)
		now := k.heldPolicy(t, 600)
		held.policy.Flags, held.policy.Capabilities = stricter.Words.Flags, 0
		unchanged(t)
		access(t, 600, "open", 0)
		if now.policy.Flags&restrictions == 0 {
			t.Error("the restriction did not come")
		}
	})
	t.Run("KeepsTheRoomOfARoleInUse", func(t *testing.T) {
		a, err := k.MakeAdHoc([]*profiles.Role{adHocRole(3)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		id := a.IDs[0]
		cmd, stdin := startJailed(t, id)
		waitSubjects(t, k, 1)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		in := k.heldPolicy(t, id)
		at, err := k.slotOf(id)
		if err != nil {
			t.Fatal(err)
		}
		leave := op(bpf.JailAdmitOpADMIT_LEAVE, in.policy.Slot, in.policy.Id)
		leave.At = at
		no(t, "leave the room of a role in use", unix.EBUSY, leave)
		leave.At = freshAt
		no(t, "leave it in another's place", unix.EPERM, leave)
		leave.At, leave.Policy = at, in.policy.Id+1
		no(t, "leave it for another policy", unix.EPERM, leave)
		no(t, "take it", unix.EPERM, op(bpf.JailAdmitOpADMIT_TAKE, in.policy.Slot, 0))
		no(t, "write it", unix.EPERM, op(bpf.JailAdmitOpADMIT_WRITE, in.policy.Slot, in.policy.Id))
		if now := k.heldPolicy(t, id); !reflect.DeepEqual(now, in) {
			t.Error("the role in use changed")
		}
		_ = stdin.Close()
		_ = cmd.Wait()
		for range 1000 { // the kernel frees a task some time after its end
			if err := k.Collect(); err != nil {
				t.Fatal(err)
			}
			if _, err = k.slotOf(id); err != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err == nil {
			t.Error("the role outlives its jail")
		}
		var left bpf.JailRoom
		if err := k.maps["rooms"].Lookup(in.policy.Slot, &left); err != nil || left.State != uint32(bpf.JailRoomStateROOM_FREE) || left.Domains != 0 {
			t.Errorf("the room of an ended role: %+v, %v", left, err)
		}
		for key := range in.starts {
			var state uint32
			if k.maps["starts"].Lookup(key, &state) == nil {
				t.Errorf("start state %+v outlives its policy", key)
			}
		}
	})
	t.Run("WritesNothingThatIsShown", func(t *testing.T) {
		turns, changed := 0, 0
		for range 200 {
			take := op(bpf.JailAdmitOpADMIT_TAKE, room, 0)
			take.Role = 1
			for slot, r := range mustRooms(t, k) {
				if slot != roomOfTurns && r.State == uint32(bpf.JailRoomStateROOM_FREE) {
					take.Room = slot
				}
			}
			taken, errno := admitRaw(t, k, take)
			if errno != 0 {
				t.Fatal(errno)
			}
			var stop atomic.Bool
			done := make(chan struct{})
			go func() {
				defer close(done)
				a := op(bpf.JailAdmitOpADMIT_WRITE, taken.Room, taken.Policy)
				for !stop.Load() {
					a.Bytes[0]++
					a.Bytes[len(a.Bytes)-1]++
					_ = k.ask(&a)
				}
			}()
			show := op(bpf.JailAdmitOpADMIT_SHOW, taken.Room, taken.Policy)
			show.At = uint32(slices.IndexFunc(mustShare(t, k).roles[1:], func(r bpf.JailRole) bool { return r.Id == 0 }) + 1)
			if _, errno := admitRaw(t, k, show); errno != 0 {
				t.Fatal(errno)
			}
			first, err := k.readTables(taken.Room, 0, uint32(pageBytes))
			if err != nil {
				t.Fatal(err)
			}
			turns++
			later, err := k.readTables(taken.Room, 0, uint32(pageBytes))
			if err != nil || !bytes.Equal(first, later) {
				changed++
			}
			stop.Store(true)
			<-done
			leave := op(bpf.JailAdmitOpADMIT_LEAVE, taken.Room, taken.Policy)
			leave.At = show.At
			if _, errno := admitRaw(t, k, leave); errno != 0 {
				t.Fatal(errno)
			}
		}
		if changed != 0 {
			t.Errorf("a page was written after it was shown, %d times of %d", changed, turns)
		}
	})
	t.Run("TakesAllNewRolesOrNone", func(t *testing.T) {
		before := mustRooms(t, k)
		many := slices.Clone(withFresh)
		for i := range 100 {
			many = append(many, roomRoles(t, fmt.Sprintf("[roles.many-%d]\nid = %d\nallow_file_access = true\n", i, 700+i))...)
		}
		if err := k.Reload(many); !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), ErrNoRoom.Error()) {
			t.Errorf("100 new roles: %v", err)
		}
		if !reflect.DeepEqual(mustRooms(t, k), before) {
			t.Error("rooms were taken")
		}
	})
	t.Run("GivesBackWhatAKillLeft", func(t *testing.T) {
		free := freeRooms(t, k)
		for _, at := range []string{"room", "page", "record", "shown"} {
			cmd, stdin, _ := startChild(t, "make", killEnv+"="+at+":1")
			_ = stdin.Close()
			_ = cmd.Wait()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Errorf("%s: the child ended by itself", at)
			}
			if err := k.Collect(); err != nil {
				t.Error(err)
			}
			if now := freeRooms(t, k); now != free {
				t.Errorf("killed at %s: %d rooms are free, were %d", at, now, free)
			}
		}
	})
	t.Run("StandsAnything", func(t *testing.T) {
		source := rand.New(rand.NewPCG(1, 2))
		const contexts = 5000
		admitted := 0
		interesting := []uint32{0, 1, 2, held.policy.Slot, fresh.policy.Slot, room, freshAt, 600, 601, 1 << 31, 1<<31 + 1, policySlots, 1<<32 - 1}
		for range contexts {
			var a bpf.JailAdmission
			raw := unsafe.Slice((*byte)(unsafe.Pointer(&a)), int(unsafe.Offsetof(a.Bytes)))
			for i := 0; i+8 <= len(raw); i += 8 {
				binary.LittleEndian.PutUint64(raw[i:], source.Uint64())
			}
			a.Op = source.Uint32N(6)
			for _, word := range []*uint32{&a.Room, &a.Role, &a.At} {
				if source.IntN(4) > 0 {
					*word = interesting[source.IntN(len(interesting))]
				}
			}
			if source.IntN(2) == 0 {
				a.Policy = []uint64{held.policy.Id, fresh.policy.Id, 0}[source.IntN(3)]
			}
			a.StartsLen &= 0xff
			a.EntrantsLen &= 0xff
			if a.Op == uint32(bpf.JailAdmitOpADMIT_NARROW) && source.IntN(2) == 0 {
				a.Words = held.policy
				a.Words.Flags |= 1 << source.IntN(31)
			}
			if a.Op == uint32(bpf.JailAdmitOpADMIT_NARROW) && a.Role == 600 && a.Words.Flags&^held.policy.Flags&^restrictions == 0 {
				continue // it would be taken
			}
			if _, errno := admitRaw(t, k, a); errno == 0 {
				admitted++
			}
		}
		t.Logf("%d of %d were admitted", admitted, contexts)
		unchanged(t)
		if now := k.heldPolicy(t, 601); !bytes.Equal(now.tables, fresh.tables) || !reflect.DeepEqual(now.starts, fresh.starts) || now.policy.Flags&^fresh.policy.Flags&^restrictions != 0 {
			t.Error("the new role changed")
		}
		if err := k.Collect(); err != nil {
			t.Error(err)
		}
		access(t, 600, "closed", unix.EACCES)
		access(t, 600, "open", 0)
	})
	t.Run("EndsNoRoleThatIsBeingEntered", func(t *testing.T) { endsNoRoleInUse(t, k) })
	if err := k.Seal(SealStrict); err != nil {
		t.Fatal(err)
	}
	for o := range uint32(7) {
		no(t, "after a strict seal", unix.EPERM, op(bpf.JailAdmitOp(o), room, 0))
	}
}

func freeRooms(t *testing.T, k *Kernel) int {
	t.Helper()
	n, err := k.countRooms()
	if err != nil {
		t.Fatal(err)
	}
	return n.Free
}

func mustShare(t *testing.T, k *Kernel) *shared {
	t.Helper()
	s, err := k.share()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRooms(t *testing.T, k *Kernel) map[uint32]bpf.JailRoom {
	t.Helper()
	list, err := k.rooms()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// refusesForeignRooms puts, between the making of rooms and the seal, others in their place.
func refusesForeignRooms(t *testing.T, k *Kernel) {
	defer func() { step = func(string) {} }()
	held := k.heldPolicy(t, 600)
	var room uint32
	tamper := func(what, want string, change func(room uint32) error) {
		t.Helper()
		step = func(at string) {
			if at != "set aside" {
				return
			}
			for room = range mustRooms(t, k) {
				if room != roomOfTurns {
					break
				}
			}
			if err := change(room); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.Seal(SealRoles); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%s: the seal says %v", what, err)
		}
		t.Logf("attack S01  before the seal: %-24s not sealed", what)
		if k.Sealed() {
			t.Fatalf("%s: sealed", what)
		}
		if err := k.maps["tables"].Delete(room); err != nil {
			t.Fatal(err)
		}
		mustShare(t, k).policies[room].Pages = 0
	}
	taken := bpf.JailRoom{State: uint32(bpf.JailRoomStateROOM_TAKEN), Policy: held.policy.Id, Pages: 1}
	tamper("a loaded role's slot as a room", "is not free", func(uint32) error { return k.maps["rooms"].Put(held.policy.Slot, taken) })
	tamper("a room that is taken", "is not free", func(room uint32) error { return k.maps["rooms"].Put(room, taken) })
	tamper("a loaded role's tables for a room", "held by others", func(room uint32) error {
		inner, err := k.innerTables(held.policy.Slot)
		if err != nil {
			return err
		}
		defer inner.Close()
		return k.maps["tables"].Put(room, uint32(inner.FD()))
	})
	var own *ebpf.Map // a descriptor that would be left
	tamper("a map that no list has", "another's map", func(room uint32) (err error) {
		spec := tablesSpec(1)
		spec.Name = "unlisted"
		if own, err = ebpf.NewMap(spec); err != nil {
			return err
		}
		return k.maps["tables"].Put(room, uint32(own.FD()))
	})
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	if now := k.heldPolicy(t, 600); !reflect.DeepEqual(now, held) {
		t.Error("the loaded role changed")
	}
}

// startJailed starts a process under a role that lives until its standard input ends.
func startJailed(t *testing.T, role uint32) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{eventChild, "enter", strconv.Itoa(int(role)), "0", "enforced", "wait"}
	stdin, _, _ := startPiped(t, cmd)
	return cmd, stdin
}

// endsNoRoleInUse has roles ended, without regard to leases, and their rooms filled with a policy
// that allows all, while others enter them: who enters is refused, or under the role.
func endsNoRoleInUse(t *testing.T, k *Kernel) {
	open := profiles.Builtins().Roles()
	open = slices.DeleteFunc(open, func(r *profiles.Role) bool { return r.Name != "permissive" })
	wide, err := compileAll(k.refer(), open, nil)
	if err != nil {
		t.Fatal(err)
	}
	own, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	var ended, kept, filled int
	targets := make(chan uint32)
	done := make(chan struct{})
	go func() { // the attacker, who takes no lock and looks at no lease
		defer close(done)
		for role := range targets {
			at, err := own.slotOf(role)
			if err != nil {
				continue
			}
			time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			for slot, r := range mustRooms(t, own) {
				if r.Role != role {
					continue
				}
				leave := bpf.JailAdmission{Op: uint32(bpf.JailAdmitOpADMIT_LEAVE), Room: slot, Policy: r.Policy, At: at}
				for own.ask(&leave) != nil {
					kept++
				}
				ended++
				a := bpf.JailAdmission{Op: uint32(bpf.JailAdmitOpADMIT_TAKE), Room: slot, Role: 1}
				if own.ask(&a) != nil {
					continue
				}
				a.Op, a.At, a.Words = uint32(bpf.JailAdmitOpADMIT_SHOW), at, encodePolicy(a.Role, slot, a.Policy, wide[0].policy)
				if own.ask(&a) == nil {
					filled++
				}
			}
		}
	}()
	entered, refused := 0, 0
	closing := roomRoles(t, freshRole)
	for range 20 {
		a, err := k.MakeAdHoc(closing, nil)
		if err != nil {
			t.Fatal(err)
		}
		targets <- a.IDs[0]
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = []string{eventChild, "enter", strconv.Itoa(int(a.IDs[0])), "0", "enforced", "open", roomsDir + "/closed"}
		out, err := cmd.CombinedOutput()
		switch errno, aerr := strconv.Atoi(strings.TrimSpace(string(out))); {
		case err == nil && aerr == nil && errno == 0:
			t.Errorf("role %d was entered and did not hold", a.IDs[0])
		case err == nil && aerr == nil:
			entered++
		default:
			refused++
		}
		_ = a.Close()
	}
	close(targets)
	<-done
	t.Logf("%d entered, %d refused; the attacker ended %d, filled %d rooms, and was refused %d times", entered, refused, ended, filled, kept)
	if ended == 0 || entered == 0 {
		t.Error("nothing was tried")
	}
	if err := k.Collect(); err != nil {
		t.Error(err)
	}
}
