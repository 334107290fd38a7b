// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"jail/loader"
	"jail/profiles"
)

type whyCmd struct {
	PID  uint32 `arg:"" optional:"" name:"pid" help:"Only denials of this process."`
	Last int    `default:"10" placeholder:"N" help:"So many of the latest (10)."`
	JSON bool   `name:"json" help:"Print an array: events as of jail log, and change."`
}

// Help is the rest of the help.
func (whyCmd) Help() string {
	return `The latest denials, the newest last: what was tried, under which role, the rule that decided or else the flag's line, and the smallest change that allows exactly this. Nothing is taken out of the log, and no reader has to run. The kernel part remembers 512. As root only.

Examples:

    sudo jail why
    sudo jail why 4242 --last 1
`
}

// explained is a denial and what would allow it.
type explained struct {
	loader.Event
	Change loader.Change `json:"change"`
}

// Run prints the latest denials.
func (c *whyCmd) Run(a *app) error {
	if c.Last < 1 {
		return usageError{fmt.Errorf("--last %d: must be 1 or more", c.Last), "jail why --help"}
	}
	k, err := loader.Open()
	if err != nil {
		return err
	}
	defer k.Close()
	list, r, err := k.Denials()
	if err != nil {
		return err
	}
	if c.PID != 0 {
		list = slices.DeleteFunc(list, func(e loader.Event) bool { return e.PID != c.PID && e.TID != c.PID })
	}
	all := []explained{}
	for _, e := range list[max(0, len(list)-c.Last):] {
		all = append(all, explained{e, r.Change(e)})
	}
	if c.JSON {
		return a.json(all)
	}
	if len(all) == 0 {
		a.printf("no denial is remembered\n")
	}
	for i, e := range all {
		if i > 0 {
			a.printf("\n")
		}
		a.printWhy(e)
	}
	return nil
}

func (o *output) printWhy(e explained) {
	o.printf("%s\n", printable(fmt.Sprintf("%s  %s[%d] uid %d, role %s, pod %d",
		e.Time.Local().Format("2006-01-02 15:04:05"), e.Command, e.PID, e.UID, cmp.Or(e.Role, "-"), e.Pod)))
	tried := strings.TrimSpace(e.Op + " " + e.Object)
	if e.Access != "" && e.Path != "" {
		tried = fmt.Sprintf("%s (%s) %s", e.Op, e.Access, e.Object)
	}
	o.line("tried", printable(tried)+": "+o.colored(eventColor(e.Event), e.outcome()))
	o.line("decided", printable(decided(e.Event)))
	if e.Repeats > 0 {
		o.line("", fmt.Sprintf("came again %d times", e.Repeats))
	}
	if e.Suppressed > 0 {
		o.line("", fmt.Sprintf("%d denials before it were only counted", e.Suppressed))
	}
	for i, line := range e.Change.TOML {
		o.line([]string{"to allow", ""}[min(i, 1)], printable(line))
	}
	if len(e.Change.TOML) > 0 && e.RoleID != 0 && e.RoleID < profiles.FirstUserID {
		o.line("", fmt.Sprintf("(%s is built in: do it in a copy, from jail show %s)", e.Role, e.Role))
	}
	if e.Change.Flag != "" {
		o.line("or", printable(fmt.Sprintf("jail run --role %s %s ...", e.Role, e.Change.Flag)))
	}
	if e.Change.Note != "" {
		o.line("note", printable(e.Change.Note))
	}
}

func (e explained) outcome() string {
	if e.Permissive {
		return "would be " + e.Errno
	}
	return e.Errno
}

// line prints a name and a value below a headline.
func (o *output) line(name, value string) {
	o.printf("  %-9s %s\n", name, value)
}
