// SPDX-License-Identifier: MIT

package main

import "jail/loader"

type reloadCmd struct{ configFlags }

// Help is the rest of the help.
func (reloadCmd) Help() string {
	return `The new policies are built beside the old ones, then each role is switched to its new policy: no process leaves its jail. With a mistake in any file nothing changes. A role that is no longer configured stays loaded. The [[enroll]] entries of jail.toml and the marks are read again too, and what runs already and is listed now is enrolled. As root only.

Example:

    sudo jail check && sudo jail reload
`
}

// Run installs the roles of the configuration as it is now.
func (c *reloadCmd) Run(a *app) error {
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
	if err := k.Reload(set.Roles()); err != nil {
		return err
	}
	if err := k.InstallWays(w); err != nil {
		return err
	}
	a.enrollRunning(k, w)
	return nil
}
