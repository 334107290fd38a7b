package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"jail/bpf"
)

// Subject is one live thread under at least one role.
type Subject struct {
	PID     uint32
	TID     uint32
	UID     uint32
	Command string
	Roles   []Membership // outermost first
}

// Membership is one entry of a subject's list.
type Membership struct {
	Role   uint32
	Name   string // empty: the role is gone
	Domain uint64
	Pod    uint64
}

// Subjects lists the live subjects, by the pinned task iterator.
func (k *Kernel) Subjects() ([]Subject, error) {
	infos, err := readRecords[bpf.JailSubjectInfo](k, "subjects_iter")
	if err != nil {
		return nil, err
	}
	names, err := k.roleNames()
	if err != nil {
		return nil, err
	}
	var list []Subject
	for _, info := range infos {
		s := Subject{PID: info.Pid, TID: info.Tid, UID: info.Uid, Command: unix.ByteSliceToString(info.Comm[:])}
		for _, m := range info.List[:min(info.Depth, uint32(len(info.List)))] {
			s.Roles = append(s.Roles, Membership{Role: m.Role, Name: names[m.Role], Domain: m.Domain, Pod: m.Pod})
		}
		list = append(list, s)
	}
	return list, nil
}

// readRecords decodes what a pinned iterator prints.
func readRecords[T any](k *Kernel, name string) ([]T, error) {
	data, err := k.readIterator(name)
	if err != nil {
		return nil, err
	}
	var one T
	size := binary.Size(one)
	if len(data)%size != 0 {
		return nil, fmt.Errorf("iterator %s: %w", name, io.ErrUnexpectedEOF)
	}
	list := make([]T, len(data)/size)
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, list); err != nil {
		return nil, fmt.Errorf("iterator %s: %w", name, err)
	}
	return list, nil
}

// readIterator runs a pinned iterator.
func (k *Kernel) readIterator(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(k.set.dir(linksDir), name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotLoaded
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("iterator %s: %w", name, err)
	}
	return data, nil
}
