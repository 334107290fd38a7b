// SPDX-License-Identifier: MIT

package main

import "jail/loader"

type unloadCmd struct {
	Force bool `help:"Also while processes are jailed: they go on without a jail."`
}

// Help is the rest of the help.
func (unloadCmd) Help() string {
	return `Refused while processes are jailed, and inside a jail. As root only.

Examples:

    sudo jail unload
    sudo jail unload --force
`
}

// Run unloads.
func (c *unloadCmd) Run(*app) error { return loader.Unload(c.Force) }
