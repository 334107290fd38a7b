// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"strconv"

	"jail/loader"
)

type reloadCmd struct {
	DryRun bool `help:"Print what would change; change nothing."`
	JSON   bool `name:"json" help:"With --dry-run: print an array."`
	configFlags
}

// Help is the rest of the help.
func (reloadCmd) Help() string {
	return `The new policies are built beside the old ones, then each role is switched to its new policy: no process leaves its jail. With a mistake in any file nothing changes. A role that is no longer configured stays loaded, as an orphan: "jail roles" and "jail status" show it. A role's id and name stay together until "jail unload". The [[enroll]] entries of jail.toml and the marks are read again too, and what runs already and is listed now is enrolled. As root only.

--dry-run prints a line for each role that is new (+), would change (~, and each fact that differs: flags, who may enter, rules that go and come) or would become an orphan (-).

Examples:

    sudo jail reload --dry-run
    sudo jail check && sudo jail reload
`
}

// Run installs the roles of the configuration as it is now.
func (c *reloadCmd) Run(a *app) error {
	if c.JSON && !c.DryRun {
		return usageError{errors.New("--json needs --dry-run"), "jail reload --help"}
	}
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	w, err := c.ways(a, set)
	if err != nil {
		return err
	}
	k, err := loader.Open()
	if err != nil {
		return err
	}
	defer k.Close()
	if !c.DryRun {
		if err := identityHint(k.Reload(set.Roles())); err != nil {
			return err
		}
		if err := k.InstallWays(w); err != nil {
			return err
		}
		a.enrollRunning(k, w)
		return nil
	}
	changes, err := k.Diff(set.Roles())
	if err != nil {
		return identityHint(err)
	}
	if c.JSON {
		return a.json(append([]loader.RoleChange{}, changes...))
	}
	var rows [][]string
	for _, change := range changes {
		sign := map[string]string{"new": "+", "changed": "~", "orphaned": "-"}[change.Kind]
		row := []string{sign, strconv.Itoa(int(change.ID)), change.Role, change.Kind, ""}
		for _, fact := range change.What {
			row[4] = fact
			rows, row = append(rows, row), make([]string, 5)
		}
		if len(change.What) == 0 {
			rows = append(rows, row)
		}
	}
	a.table([]string{"", "ID", "NAME", "", "WHAT"}, rows)
	return nil
}

func identityHint(err error) error {
	if errors.Is(err, loader.ErrIdentity) {
		return withHint(err, "give the new role an id and a name that nobody has")
	}
	return err
}
