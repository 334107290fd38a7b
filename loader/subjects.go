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
	data, err := k.readIterator("subjects_iter")
	if err != nil {
		return nil, err
	}
	names, err := k.roleNames()
	if err != nil {
		return nil, err
	}
	var list []Subject
	for r := bytes.NewReader(data); r.Len() > 0; {
		var info bpf.JailSubjectInfo
		if err := binary.Read(r, binary.LittleEndian, &info); err != nil {
			return nil, fmt.Errorf("task iterator: %w", err)
		}
		s := Subject{PID: info.Pid, TID: info.Tid, UID: info.Uid, Command: unix.ByteSliceToString(info.Comm[:])}
		for _, m := range info.List[:min(info.Depth, uint32(len(info.List)))] {
			s.Roles = append(s.Roles, Membership{Role: m.Role, Name: names[m.Role], Domain: m.Domain, Pod: m.Pod})
		}
		list = append(list, s)
	}
	return list, nil
}

// readIterator runs a pinned task iterator over all tasks.
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
		return nil, fmt.Errorf("task iterator: %w", err)
	}
	return data, nil
}
