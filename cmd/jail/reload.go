// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"jail/loader"
	"jail/profiles"
)

type reloadCmd struct {
	DryRun bool `help:"Print what would change; change nothing."`
	JSON   bool `name:"json" help:"With --dry-run: print an array."`
	configFlags
}

// Help is the rest of the help.
func (reloadCmd) Help() string {
	return `The new policies are built beside the old ones, then each role is switched to its new policy: no process leaves its jail. With a mistake in any file nothing changes. A role that is no longer configured stays loaded, as an orphan: "jail roles" and "jail status" show it. A role's id and name stay together until "jail unload". The [[enroll]] entries of jail.toml and the marks are read again too, and what runs already and is listed now is enrolled. After "jail load --seal" new roles come, and loaded ones lose flags, capabilities and families; where anything else differs from what is loaded nothing changes, the exit status is 1, and the message lists what is not known to be stricter: that takes a reboot. After --seal=strict nothing changes at all. As root only.

--dry-run prints a line for each role, and each listed executable and control group, that is new (+), would change (~, and each fact that differs: flags, who may enter, rules that go and come) or would go (-; a role becomes an orphan). Where jail is sealed, what the seal refuses is named with it, and the exit status is 1.

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
		if err := reload(k, set, w); err != nil {
			return err
		}
		a.enrollRunning(k, w)
		return nil
	}
	changes, err := k.Diff(set.Roles())
	if err != nil {
		return identityHint(err)
	}
	ways, err := k.DiffWays(w)
	if err != nil {
		return err
	}
	changes = append(changes, ways...)
	if c.JSON {
		err = a.json(append([]loader.RoleChange{}, changes...))
	} else {
		a.changes(changes)
	}
	if err == nil {
		err = loader.Refused(changes)
	}
	return err
}

// reload installs roles and ways in. After a seal the roles come last: nothing comes where
// anything is refused, but for marks.
func reload(k *loader.Kernel, set *profiles.Set, w loader.Ways) error {
	if !k.Sealed() {
		if err := k.Reload(set.Roles()); err != nil {
			return identityHint(err)
		}
		return k.InstallWays(w)
	}
	changes, err := k.Diff(set.Roles())
	if err != nil {
		return identityHint(err)
	}
	if err := errors.Join(loader.Refused(changes), k.InstallWays(w)); err != nil {
		return err
	}
	return identityHint(k.Reload(set.Roles()))
}

// changes prints a line for each change, and one for each fact of it.
func (a *app) changes(list []loader.RoleChange) {
	var rows [][]string
	for _, change := range list {
		sign := map[string]string{"new": "+", "changed": "~", "orphaned": "-", "gone": "-"}[change.Kind]
		facts := change.What
		if change.Way != "" {
			facts = append([]string{change.Way}, facts...)
		}
		if change.Refused != nil {
			facts = append(slices.Clone(facts), "refused by the seal: "+strings.Join(change.Refused, ", "))
		}
		row := []string{sign, strconv.Itoa(int(change.ID)), change.Role, change.Kind, ""}
		for _, fact := range facts {
			row[4] = fact
			rows, row = append(rows, row), make([]string, 5)
		}
		if len(facts) == 0 {
			rows = append(rows, row)
		}
	}
	a.table([]string{"", "ID", "NAME", "", "WHAT"}, rows)
}

func identityHint(err error) error {
	if errors.Is(err, loader.ErrIdentity) {
		return withHint(err, "give the new role an id and a name that nobody has")
	}
	return err
}
