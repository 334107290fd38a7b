// SPDX-License-Identifier: MIT

package main

import "jail/loader"

type loadCmd struct{ configFlags }

// Help is the rest of the help.
func (loadCmd) Help() string {
	return `Everything is pinned below ` + loader.Dir + `: no daemon, and enforcement goes on until "jail unload" or a reboot. Where a whole kernel part is loaded, nothing is changed. Where pins are missing, after a load that was interrupted for instance, they are made again, and who is jailed stays so. Where something is pinned there that is not jail's, or the directory is not root's, nothing is changed and the exit status is 1. As root only.

Example:

    sudo jail load && jail status
`
}

// Run loads.
func (c *loadCmd) Run(a *app) error {
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	k, err := c.loadAll(a, set)
	if err != nil {
		return err
	}
	return k.Close()
}
