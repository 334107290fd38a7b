// SPDX-License-Identifier: MIT

package main

import (
	"errors"

	"jail/loader"
)

type upgradeCmd struct{}

// Help is the rest of the help.
func (upgradeCmd) Help() string {
	return `Run it after another version of jail was installed. The programs of this version are attached beside those that are loaded, with the same subjects, pods, policies, marks and counters; then they act and the old ones do not. No process leaves its jail and there is no moment without verdicts. The old programs stay attached, without effect, until "jail unload" or a reboot, because taking programs away while the kernel uses them is not safe on every kernel. When it is interrupted, enforcement goes on; run it again.

Where this version cannot take over what is loaded nothing changes, and the exit status is 1. Roles stay as they are: "jail reload" reads the configuration. Long-running "jail log" ends when its events go elsewhere; jail-journal.service restarts by itself. As root only.

Example:

    sudo jail upgrade && jail status
`
}

// Run upgrades.
func (c *upgradeCmd) Run(a *app) error {
	_, err := loader.Upgrade(a.ctx)
	if errors.Is(err, loader.ErrABI) {
		err = withHint(err, "what is loaded goes on enforcing; restart the machine, or end what is jailed and: jail unload --force && jail load")
	}
	return err
}
