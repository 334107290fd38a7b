package loader

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"jail/bpf"
	"jail/profiles"
)

// EnrollmentSocket is where `jail serve` listens. Subjects of every role may connect to it.
const EnrollmentSocket = profiles.EnrollmentSocket

// Stamp asks that a running process become a subject, or one under more roles.
type Stamp struct {
	PID   int
	Start uint64   // field 22 of /proc/PID/stat: tells the process from a later one with its id
	UID   uint32   // whom the process must belong to, unless ByRoot
	Roles []uint32 // appended in this order
	Pod   uint64   // label; 0: one is made up

	// ByRoot: root outside any jail asks. Otherwise the process itself does: it must be
	// a user of each role and have no privilege beyond UID's, and is refused any exec
	// that gains, unless it is root.
	ByRoot   bool
	AtExec   bool // arm all threads: the next exec enters
	Untraced bool // refuse a process that is traced or traces
	Once     bool // pass over threads that have the (one) role already
	Tree     bool // the descendants too; see [Kernel.Enroll]
}

const (
	// A pass that stamps nothing is the last. Threads in an exec make for more; a program
	// that does nothing but clone was through in 4.
	stampPasses = 400
	// What is waited for when a thread was in an exec.
	stampPause = 5 * time.Millisecond
)

// Stamp enrolls a running process: when it returns nil, all threads are under the roles,
// and whatever they start from then on. On an error some may be; nothing is less
// confined than before. One at a time.
func (k *Kernel) Stamp(ctx context.Context, s Stamp) (err error) {
	if len(s.Roles) == 0 || len(s.Roles) > int(bpf.JailAbiROLE_DEPTH) {
		return Refusal(bpf.JailRefusalREFUSED_DEPTH)
	}
	stamps, err := k.table("stamps")
	if err != nil {
		return err
	}
	value := bpf.JailStamp{Start: s.Start, Uid: s.UID}
	value.Request.Pod = s.Pod
	value.Request.Count = uint32(copy(value.Request.Roles[:], s.Roles))
	for flag, set := range map[bpf.JailStampFlag]bool{
		bpf.JailStampFlagSTAMP_BY_ROOT:  s.ByRoot,
		bpf.JailStampFlagSTAMP_AT_EXEC:  s.AtExec,
		bpf.JailStampFlagSTAMP_UNTRACED: s.Untraced,
		bpf.JailStampFlagSTAMP_TREE:     s.Tree,
		bpf.JailStampFlagSTAMP_ONCE:     s.Once,
	} {
		if set {
			value.Flags |= uint32(flag)
		}
	}
	key := uint32(s.PID)
	if err := k.putStamp(ctx, stamps, key, value); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.endStamp(key)) }()
	if s.Tree {
		if value, err = k.look(stamps, key, value); err != nil {
			return err
		}
	}
	for range stampPasses {
		before := value
		if err := k.pass(); err != nil {
			return err
		}
		if err := stamps.Lookup(key, &value); err != nil {
			return fmt.Errorf("stamps: %w", err)
		}
		switch {
		case value.Refused != 0:
			return Refusal(value.Refused)
		case value.Seen == before.Seen:
			return Refusal(bpf.JailRefusalREFUSED_GONE)
		case value.Busy != before.Busy:
			time.Sleep(stampPause)
		case s.AtExec, value.Stamped == before.Stamped:
			return ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return Refusal(bpf.JailRefusalREFUSED_BUSY)
}

// look sees whether the process would be refused before anything of it is stamped: the
// first pass learns its memory, the second who shares that.
func (k *Kernel) look(stamps *ebpf.Map, key uint32, value bpf.JailStamp) (bpf.JailStamp, error) {
	flags := value.Flags
	value.Flags |= uint32(bpf.JailStampFlagSTAMP_LOOK)
	if err := stamps.Update(key, value, ebpf.UpdateExist); err != nil {
		return value, fmt.Errorf("stamps: %w", err)
	}
	for range 2 {
		if err := k.pass(); err != nil {
			return value, err
		}
	}
	if err := stamps.Lookup(key, &value); err != nil {
		return value, fmt.Errorf("stamps: %w", err)
	}
	switch {
	case value.Refused != 0:
		return value, Refusal(value.Refused)
	case value.Seen == 0:
		return value, Refusal(bpf.JailRefusalREFUSED_GONE)
	}
	value.Flags = flags
	return value, stamps.Update(key, value, ebpf.UpdateExist)
}

// putStamp waits for its turn where the same process is being enrolled already. What a
// killed enroller left for an earlier process of that id is cleared.
func (k *Kernel) putStamp(ctx context.Context, stamps *ebpf.Map, key uint32, value bpf.JailStamp) error {
	for range stampPasses {
		err := stamps.Update(key, value, ebpf.UpdateNoExist)
		if err == nil || !errors.Is(err, ebpf.ErrKeyExist) {
			return err
		}
		var held bpf.JailStamp
		if stamps.Lookup(key, &held) == nil && held.Start != value.Start {
			_ = k.endStamp(key)
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(stampPause):
		}
	}
	_ = k.endStamp(key) // its enroller is no more
	return Refusal(bpf.JailRefusalREFUSED_BUSY)
}

// pass lets the pinned iterator visit every thread once.
func (k *Kernel) pass() error {
	_, err := k.readIterator("stamp_iter")
	return err
}

// endStamp gives back what a stamp holds.
func (k *Kernel) endStamp(key uint32) error {
	prog, err := k.kept(&k.stampEnd, "stamp_end")
	if err != nil {
		return err
	}
	var arg [4]byte
	binary.NativeEndian.PutUint32(arg[:], key)
	if _, err := prog.Run(&ebpf.RunOptions{Context: arg}); err != nil {
		return fmt.Errorf("stamp_end: %w", translate(err))
	}
	return nil
}

// MembershipOf gives the list of the first thread of a process, the outermost role
// first; empty outside any jail.
func (k *Kernel) MembershipOf(pidfd int) ([]Membership, error) {
	subjects, err := k.table("subjects")
	if err != nil {
		return nil, err
	}
	var s bpf.JailSubject
	err = subjects.Lookup(uint32(pidfd), &s)
	switch {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return nil, nil
	case errors.Is(err, unix.ESRCH):
		return nil, Refusal(bpf.JailRefusalREFUSED_GONE)
	case err != nil:
		return nil, fmt.Errorf("subjects: %w", err)
	}
	var list []Membership
	for _, m := range s.List[:min(s.Depth, uint32(len(s.List)))] {
		list = append(list, Membership{Role: m.Role, Domain: m.Domain, Pod: m.Pod})
	}
	return list, nil
}
