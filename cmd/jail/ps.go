// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"jail/loader"
)

type psCmd struct {
	JSON bool `name:"json" help:"Print an array."`
}

// Help is the rest of the help.
func (psCmd) Help() string {
	return `One line per thread: pid, tid, command, roles (the outermost first), pod. As root only.

Examples:

    sudo jail ps
    sudo jail ps --json | jq '.[] | select(.pod == 7) | .pid'
`
}

// subjectLine is a live thread as it is listed.
type subjectLine struct {
	PID     uint32   `json:"pid"`
	TID     uint32   `json:"tid"`
	Command string   `json:"command"`
	Roles   []string `json:"roles"`
	Pod     uint64   `json:"pod"` // of the innermost jail
}

// Run lists the subjects.
func (c *psCmd) Run(a *app) error {
	k, err := loader.Open()
	if err != nil {
		return err
	}
	defer k.Close()
	subjects, err := k.Subjects()
	if err != nil {
		return err
	}
	return a.printSubjects(subjects, c.JSON)
}

func (o *output) printSubjects(subjects []loader.Subject, asJSON bool) error {
	list := make([]subjectLine, len(subjects))
	for i, s := range subjects {
		list[i] = subjectLine{PID: s.PID, TID: s.TID, Command: s.Command, Roles: []string{}}
		for _, m := range s.Roles {
			list[i].Roles = append(list[i].Roles, cmp.Or(m.Name, strconv.Itoa(int(m.Role))))
			list[i].Pod = m.Pod
		}
	}
	slices.SortFunc(list, func(a, b subjectLine) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.TID, b.TID))
	})
	if asJSON {
		return o.json(list)
	}
	rows := make([][]string, len(list))
	for i, s := range list {
		rows[i] = []string{
			strconv.Itoa(int(s.PID)), strconv.Itoa(int(s.TID)), s.Command,
			strings.Join(s.Roles, ","), strconv.FormatUint(s.Pod, 10),
		}
	}
	o.table([]string{"PID", "TID", "COMMAND", "ROLES", "POD"}, rows)
	return nil
}
