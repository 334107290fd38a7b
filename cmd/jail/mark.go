// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"jail/launcher"
	"jail/loader"
	"jail/profiles"
)

type markCmd struct {
	Role string   `placeholder:"ROLE" help:"The role to enter, by name or id. Without it, the one named like the file."`
	Pod  uint64   `placeholder:"N" help:"Label of the jail; without it each start gets its own."`
	Path []string `arg:"" help:"Executables."`
	configFlags
}

// Help is the rest of the help.
func (markCmd) Help() string {
	return `From now on the executables are jailed at every start, whoever starts them and however: by a shell, cron, systemd or another program, by full path, symbolic link, hard link or descriptor, and as the interpreter of a script. The mark is the file, and its path: what replaces the file, as a package upgrade does, is jailed too. Not covered is what is another file: a copy of it, or the dynamic loader started with the file as its argument.

The mark is kept in three places: in ` + launcher.MarksFile + `, in the kernel part's tables, and on the file as ` + launcher.MarkAttribute + `, which kernels from 6.15 on read by themselves. Who is running already stays as it is: see "jail enroll". As root outside any jail only.

Examples:

    sudo jail mark --role browser /usr/bin/firefox
    sudo jail mark --role webserver /usr/sbin/nginx && sudo systemctl restart nginx
`
}

// Run marks.
func (c *markCmd) Run(a *app) error {
	if err := rootOutside(); err != nil {
		return err
	}
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range c.Path {
		errs = append(errs, c.mark(a, set, name))
	}
	return errors.Join(append(errs, c.refresh(a, set))...)
}

func (c *markCmd) mark(a *app, set *profiles.Set, name string) error {
	f, real, err := launcher.OpenMarkable(name)
	if err != nil {
		return err
	}
	defer f.Close()
	key := c.Role
	if key == "" {
		key = filepath.Base(real)
	}
	role, ok := set.Lookup(key)
	if !ok {
		return unknownRole(set, key)
	}
	return a.recordMark(f, launcher.Mark{Path: real, Role: role.Name, ID: role.ID, Pod: c.Pod})
}

// recordMark writes the mark into the record and on the open file.
func (a *app) recordMark(f *os.File, m launcher.Mark) error {
	// The record first: whatever fails after it is mended by marks --restore.
	err := launcher.EditMarks(launcher.MarksFile, func(list []launcher.Mark) ([]launcher.Mark, error) {
		return append(without(list, m.Path), m), nil
	})
	if err != nil {
		return err
	}
	return putMark(a, f, m)
}

// putMark sets the mark on the file; a file system that holds none is told about.
func putMark(a *app, f *os.File, m launcher.Mark) error {
	held, err := m.SetAttribute(f)
	if err == nil && !held {
		a.warn("%s: its file system holds no marks: the table serves", m.Path)
	}
	return err
}

func without(list []launcher.Mark, path string) []launcher.Mark {
	return slices.DeleteFunc(list, func(m launcher.Mark) bool { return m.Path == path })
}

// refresh brings the kernel part's tables up to date, where it is loaded.
func (f configFlags) refresh(a *app, set *profiles.Set) error {
	k, err := loader.Open()
	if errors.Is(err, loader.ErrNotLoaded) {
		return nil
	}
	if err != nil {
		return err
	}
	defer k.Close()
	w, err := f.ways(a, set)
	if err != nil {
		return err
	}
	return k.InstallWays(w)
}

// rootOutside tells whether this is root outside any jail.
func rootOutside() error {
	if os.Geteuid() != 0 {
		return loader.ErrNotRoot
	}
	if loader.Jailed() {
		return loader.ErrJailed
	}
	return nil
}

type unmarkCmd struct {
	Path []string `arg:"" help:"Executables."`
	configFlags
}

// Help is the rest of the help.
func (unmarkCmd) Help() string {
	return `What runs stays in its jail. As root outside any jail only.

Example:

    sudo jail unmark /usr/bin/firefox
`
}

// Run takes marks off.
func (c *unmarkCmd) Run(a *app) error {
	if err := rootOutside(); err != nil {
		return err
	}
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range c.Path {
		errs = append(errs, unmark(name))
	}
	return errors.Join(append(errs, c.refresh(a, set))...)
}

func unmark(name string) error {
	f, real, err := launcher.OpenMarkable(name)
	gone := errors.Is(err, os.ErrNotExist)
	if gone { // the record may still have it
		real, err = filepath.Abs(name)
	}
	if err != nil {
		return err
	}
	found := false
	err = launcher.EditMarks(launcher.MarksFile, func(list []launcher.Mark) ([]launcher.Mark, error) {
		rest := without(slices.Clone(list), real)
		found = len(rest) < len(list)
		return rest, nil
	})
	if gone || err != nil {
		if err == nil && !found {
			err = fmt.Errorf("%s: %w", name, os.ErrNotExist)
		}
		return err
	}
	defer f.Close()
	if err := launcher.RemoveAttribute(f); err != nil {
		return err
	}
	k, err := loader.Open()
	if errors.Is(err, loader.ErrNotLoaded) {
		return nil
	}
	if err != nil {
		return err
	}
	defer k.Close()
	return k.DeleteExecutable(f)
}

type marksCmd struct {
	Check   bool `help:"Exit with status 1 where a mark is lost or differs from the record."`
	Restore bool `help:"Put lost marks back, and bring the tables up to date."`
	JSON    bool `name:"json" help:"Print an array."`
	configFlags
}

// Help is the rest of the help.
func (marksCmd) Help() string {
	return `One line per mark: path, role, state. States: "marked"; "table" where the file system holds no marks and the table serves; "lost" where the file has no mark, as after a package upgrade; "differs" where it has another; "absent" where there is no file. As root only.

Examples:

    sudo jail marks --check || sudo jail marks --restore
    sudo jail marks --json | jq -r '.[].path'
`
}

// markLine is a mark as it is listed.
type markLine struct {
	Path  string `json:"path"`
	Role  string `json:"role"`
	Pod   uint64 `json:"pod"`
	State string `json:"state"`
}

// Run lists, checks or restores marks.
func (c *marksCmd) Run(a *app) error {
	if os.Geteuid() != 0 {
		return loader.ErrNotRoot
	}
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	marks, err := launcher.ReadMarks(launcher.MarksFile)
	if err != nil {
		return err
	}
	if c.Restore {
		if err := c.restore(a, set, marks); err != nil {
			return err
		}
	}
	lines, whole := []markLine{}, true
	for _, m := range marks {
		state := stateOf(current(set, m))
		whole = whole && (state == "marked" || state == "table")
		lines = append(lines, markLine{m.Path, m.Role, m.Pod, state})
	}
	if c.JSON {
		err = a.json(lines)
	} else {
		rows := make([][]string, len(lines))
		for i, l := range lines {
			rows[i] = []string{l.Path, l.Role, podText(l.Pod), l.State}
		}
		a.table([]string{"PATH", "ROLE", "POD", "STATE"}, rows)
	}
	if err == nil && c.Check && !whole {
		err = errNo
	}
	return err
}

func podText(pod uint64) string {
	if pod == 0 {
		return "-"
	}
	return strconv.FormatUint(pod, 10)
}

// current is a mark with the id that its role has now.
func current(set *profiles.Set, m launcher.Mark) launcher.Mark {
	if role, ok := set.ByName(m.Role); ok {
		m.ID = role.ID
	}
	return m
}

func (c *marksCmd) restore(a *app, set *profiles.Set, marks []launcher.Mark) error {
	if err := rootOutside(); err != nil {
		return err
	}
	var errs []error
	for _, m := range marks {
		f, real, err := launcher.OpenMarkable(m.Path)
		if errors.Is(err, os.ErrNotExist) {
			continue // told by its state
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if real != m.Path {
			errs = append(errs, fmt.Errorf("%s: leads through a symbolic link to %s now: mark that", m.Path, real))
		} else if stateOf(current(set, m)) != "marked" {
			errs = append(errs, putMark(a, f, current(set, m)))
		}
		_ = f.Close()
	}
	return errors.Join(append(errs, c.refresh(a, set))...)
}

// stateOf tells what the file has of its mark.
func stateOf(m launcher.Mark) string {
	f, _, err := launcher.OpenMarkable(m.Path)
	if err != nil {
		return "absent"
	}
	defer f.Close()
	id, pod, found, err := launcher.Attribute(f)
	switch {
	case err == nil && found && id == m.ID && pod == m.Pod:
		return "marked"
	case err != nil || found:
		return "differs"
	case !launcher.HoldsAttributes(f):
		return "table"
	}
	return "lost"
}

type enrollCmd struct {
	Role string `required:"" placeholder:"ROLE" help:"The role to enter, by name or id."`
	Pod  uint64 `placeholder:"N" help:"Label of the jail; without it one is made up."`
	PID  int    `arg:"" name:"pid" help:"The process."`
	configFlags
}

// Help is the rest of the help.
func (enrollCmd) Help() string {
	return `All its threads and its descendants, those that are born meanwhile included, enter the role at once; what they have open stays open. Refused are kernel threads, process 1, what is traced or traces, and what shares its memory with another process. As root outside any jail only.

Example:

    sudo jail enroll --role isolated 4242
`
}

// Run takes a running process in.
func (c *enrollCmd) Run(a *app) error {
	if err := rootOutside(); err != nil {
		return err
	}
	if err := ownNumbers(); err != nil {
		return err
	}
	start, err := loader.StartTime(c.PID)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("process %d: no such process", c.PID)
	}
	if err != nil {
		return err
	}
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	role, ok := set.Lookup(c.Role)
	if !ok {
		return unknownRole(set, c.Role)
	}
	k, err := loader.Open()
	if errors.Is(err, loader.ErrNotLoaded) {
		k, err = c.loadAll(a, set)
	}
	if err != nil {
		return err
	}
	defer k.Close()
	if err := sameRoles(k, []*profiles.Role{role}); err != nil {
		return err
	}
	return k.Enroll(a.ctx, c.PID, start, loader.Entrance{Role: role.ID, Pod: c.Pod})
}

// ownNumbers makes sure that process numbers here are those of the kernel part.
func ownNumbers() error {
	const initial = "pid:[4026531836]"
	space, err := os.Readlink("/proc/self/ns/pid")
	if err == nil && strings.TrimSpace(space) != initial {
		err = withHint(errors.New("process numbers of a pid namespace mean other processes to the kernel part"), "do it from outside the container")
	}
	return err
}
