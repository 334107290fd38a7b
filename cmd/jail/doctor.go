// SPDX-License-Identifier: MIT

package main

import (
	"slices"

	"jail/loader"
)

type doctorCmd struct {
	JSON bool `name:"json" help:"Print an array."`
}

// Help is the rest of the help.
func (doctorCmd) Help() string {
	return `For each prerequisite: what there is, what is wanted and, where they differ, how to mend it. Nothing is changed. Exit status: 0 when nothing is missing, otherwise 1. Root sees more.

Example:

    sudo jail doctor
`
}

// Run prints every prerequisite.
func (c *doctorCmd) Run(a *app) error {
	list := loader.Probe()
	if c.JSON {
		if err := a.json(list); err != nil {
			return err
		}
	} else {
		for _, p := range list {
			a.printPrerequisite(p)
		}
	}
	if slices.ContainsFunc(list, func(p loader.Prerequisite) bool { return !p.OK }) {
		return errNo
	}
	return nil
}

func (o *output) printPrerequisite(p loader.Prerequisite) {
	if p.OK {
		o.printf("%s    %s: %s\n", o.colored(green, "ok"), p.Name, printable(p.Have))
		return
	}
	o.printf("%s  %s: have %s; want %s\n", o.colored(red, "FAIL"), p.Name, printable(p.Have), p.Want)
	o.printf("      fix: %s\n", p.Fix)
}
