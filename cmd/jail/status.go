// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"jail/loader"
)

type statusCmd struct {
	JSON bool `name:"json" help:"Print an object."`
}

// Help is the rest of the help.
func (statusCmd) Help() string {
	return `Exit status: 0 when every mandatory program is attached and roles can be entered, otherwise 1: "missing" and "not jail's" say why. "jail load" mends what is missing. As root only.

Examples:

    sudo jail status
    sudo jail status --json | jq .subjects
`
}

// Run prints the state of the kernel part.
func (c *statusCmd) Run(a *app) error {
	s, err := status()
	if err != nil {
		return err
	}
	if c.JSON {
		for _, list := range []*[]string{&s.Programs, &s.Missing, &s.Foreign, &s.Lacking, &s.Orphaned, &s.Unclosed} {
			*list = append([]string{}, *list...)
		}
		s.Inert = append([]uint32{}, s.Inert...)
		err = a.json(s)
	} else {
		a.printStatus(s)
	}
	if err == nil && !s.Whole {
		err = errNo
	}
	return err
}

// status is what is loaded. Anybody can learn that nothing is; only root, more.
func status() (loader.Status, error) {
	k, err := loader.Open()
	if errors.Is(err, loader.ErrNotRoot) {
		if _, derr := loader.Depth(); errors.Is(derr, loader.ErrNotLoaded) {
			err = derr
		}
	}
	switch {
	case errors.Is(err, loader.ErrNotLoaded):
		return loader.Status{}, nil
	case err != nil:
		return loader.Status{}, err
	}
	defer k.Close()
	return k.Status()
}

func (o *output) printStatus(s loader.Status) {
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	if !s.Loaded {
		o.printf("loaded: no\n")
		return
	}
	rows := [][2]string{
		{"loaded", "yes"},
		{"whole", yes(s.Whole)},
		{"enrollment", map[bool]string{true: "open", false: "closed"}[s.Open]},
		{"sealed", s.Seal},
		{"abi", strconv.Itoa(int(s.ABI))},
		{"attached", fmt.Sprintf("%d programs", len(s.Programs))},
		{"pinned", fmt.Sprintf("%d maps, %d programs, %d links", s.Pinned.Maps, s.Pinned.Programs, s.Pinned.Links)},
		{"roles", strconv.Itoa(s.Roles)},
		{"ad-hoc roles", strconv.Itoa(s.AdHoc)},
		{"subjects", strconv.Itoa(s.Subjects)},
		{"marks read by", map[bool]string{true: "xattr and table", false: "table"}[s.Ways.Xattr]},
		{"executables", fmt.Sprintf("%d by inode, %d by path", s.Ways.Executables, s.Ways.Paths)},
		{"control groups", strconv.Itoa(s.Ways.Cgroups)},
		{"denied", strconv.FormatUint(s.Denied, 10)},
		{"lost events", strconv.FormatUint(s.Lost, 10)},
		{"faults", strconv.FormatUint(s.Faults, 10)},
	}
	if s.Rooms != nil {
		rows = append(rows, [2]string{"room for new roles", fmt.Sprintf("%d of %d free", s.Rooms.Free, s.Rooms.All)})
	}
	if !s.Current {
		rows = append(rows, [2]string{"version", "another's programs act, or an upgrade is unfinished: jail upgrade"})
	}
	if len(s.Inert) > 0 {
		rows = append(rows, [2]string{"without effect", fmt.Sprintf("%d sets of programs, of earlier versions", len(s.Inert))})
	}
	if len(s.Missing) > 0 {
		rows = append(rows, [2]string{"missing", strings.Join(s.Missing, ", ")})
	}
	if len(s.Foreign) > 0 {
		rows = append(rows, [2]string{"not jail's", strings.Join(s.Foreign, "; ")})
	}
	if len(s.Lacking) > 0 {
		rows = append(rows, [2]string{"not on this kernel", strings.Join(s.Lacking, ", ")})
	}
	if len(s.Unclosed) > 0 {
		rows = append(rows, [2]string{"not closed by the seal", strings.Join(s.Unclosed, "; ")})
	}
	if len(s.Orphaned) > 0 {
		rows = append(rows, [2]string{"orphaned", strings.Join(s.Orphaned, ", ")})
	}
	for _, r := range rows {
		o.printf("%s: %s\n", r[0], r[1])
	}
}
