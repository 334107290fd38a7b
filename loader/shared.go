package loader

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"jail/bpf"
)

// shared is what this process has mapped of the kernel part's memory: words that the
// programs read, and count up, while they are written. A map update would copy whole
// values over them.
type shared struct {
	control  *bpf.JailControl
	roles    []bpf.JailRole   // by role slot; an Id of 0: free
	policies []bpf.JailPolicy // by policy slot; an Id of 0: free
	mapped   [][]byte
	changes  uint64 // of a snapshot: how many there had been; see admissions
}

// share maps the memory, once.
func (k *Kernel) share() (*shared, error) {
	k.sharing.Lock()
	defer k.sharing.Unlock()
	if k.sealed != SealNone {
		return k.snapshot()
	}
	if k.shared != nil {
		return k.shared, nil
	}
	s := &shared{}
	control, err := mapArray[bpf.JailControl](k, s, "control_block")
	if err == nil {
		s.control = &control[0]
		s.roles, err = mapArray[bpf.JailRole](k, s, "roles")
	}
	if err == nil {
		s.policies, err = mapArray[bpf.JailPolicy](k, s, "policies")
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	k.shared = s
	return s, nil
}

// snapshot reads what a seal has closed to be mapped, where it changed since the last time.
func (k *Kernel) snapshot() (*shared, error) {
	changes, err := k.admissions()
	if err != nil {
		return nil, err
	}
	if k.shared != nil && k.shared.changes == changes {
		return k.shared, nil
	}
	s := &shared{changes: changes}
	control, err := readArray[bpf.JailControl](k, "control_block")
	if err == nil {
		s.control = &control[0]
		s.roles, err = readArray[bpf.JailRole](k, "roles")
	}
	if err == nil {
		s.policies, err = readArray[bpf.JailPolicy](k, "policies")
	}
	if err != nil {
		return nil, err
	}
	k.shared = s
	return s, nil
}

func readArray[T any](k *Kernel, name string) ([]T, error) {
	m, err := k.table(name)
	if err != nil {
		return nil, err
	}
	keys, values := make([]uint32, m.MaxEntries()), make([]T, m.MaxEntries())
	var cursor ebpf.MapBatchCursor
	n, err := m.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	if n != len(values) {
		return nil, fmt.Errorf("map %s: read %d of %d entries", name, n, len(values))
	}
	return values, nil
}

func mapArray[T any](k *Kernel, s *shared, name string) ([]T, error) {
	m, err := k.table(name)
	if err != nil {
		return nil, err
	}
	var one T
	size := int(unsafe.Sizeof(one))
	if int(m.ValueSize()) != size || m.Flags()&unix.BPF_F_MMAPABLE == 0 || m.Type() != ebpf.Array {
		return nil, fmt.Errorf("map %s: %w", name, ErrABI)
	}
	n, page := int(m.MaxEntries()), os.Getpagesize()
	data, err := unix.Mmap(m.FD(), 0, (n*size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s into memory: %w", name, err)
	}
	s.mapped = append(s.mapped, data)
	return unsafe.Slice((*T)(unsafe.Pointer(&data[0])), n), nil
}

func (s *shared) close() error {
	if s == nil {
		return nil
	}
	var errs []error
	for _, data := range s.mapped {
		errs = append(errs, unix.Munmap(data))
	}
	s.mapped = nil
	return errors.Join(errs...)
}

func (k *Kernel) control() (c bpf.JailControl, err error) {
	m, err := k.table("control_block")
	if err != nil {
		return c, err
	}
	// By look-up: of another version's block this much must be readable.
	err = m.Lookup(uint32(0), &c)
	if err != nil {
		err = fmt.Errorf("control block: %w: %w", err, ErrABI)
	}
	return c, err
}

// setControl stores the words that are the loader's. The counters beside them are not
// touched: programs count while this runs.
func (k *Kernel) setControl(c bpf.JailControl) error {
	s, err := k.share()
	if err != nil {
		return err
	}
	atomic.StoreUint32(&s.control.Abi, c.Abi)
	atomic.StoreUint32(&s.control.Instance, c.Instance)
	atomic.StoreUint32(&s.control.Sealed, c.Sealed)
	atomic.StoreUint32(&s.control.Door, c.Door)
	return nil
}
