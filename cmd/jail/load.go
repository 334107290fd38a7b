// SPDX-License-Identifier: MIT

package main

import (
	"errors"

	"jail/loader"
	"jail/profiles"
)

type loadCmd struct {
	Early bool `help:"At boot: mount what is missing, wait for nothing; where jail is loaded already, as by the initramfs, read the configuration again."`
	configFlags
}

// Help is the rest of the help.
func (loadCmd) Help() string {
	return `Everything is pinned below ` + loader.Dir + `: no daemon, and enforcement goes on until "jail unload" or a reboot. Where a whole kernel part is loaded, nothing is changed. Where pins are missing, after a load that was interrupted for instance, they are made again, and who is jailed stays so. Where something is pinned there that is not jail's, or the directory is not root's, nothing is changed and the exit status is 1. As root only.

Example:

    sudo jail load && jail status

--early is for jail-load.service and the initramfs. It mounts securityfs and the bpf file system where they are missing. In an initramfs it runs in the new root, by chroot, before the root is switched, so that the first program of the new root already starts under the rules.
`
}

// Run loads.
func (c *loadCmd) Run(a *app) error {
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	if c.Early {
		return c.early(a, set)
	}
	k, err := c.loadAll(a, set)
	if err != nil {
		return err
	}
	return k.Close()
}

// early loads at boot. What an initramfs loaded knows neither control groups nor file
// systems that were mounted since.
func (c *loadCmd) early(a *app, set *profiles.Set) error {
	w, err := c.ways(a, set)
	if err != nil {
		return err
	}
	before, err := loader.Open()
	if err == nil {
		_ = before.Close()
	} else if !errors.Is(err, loader.ErrNotLoaded) && !errors.Is(err, loader.ErrNotWhole) {
		return err
	}
	again := err == nil
	k, err := loader.Load(a.ctx, loader.Options{Roles: set.Roles(), Ways: w, Early: true})
	if err != nil {
		return err
	}
	defer k.Close()
	if again {
		if err := k.Reload(set.Roles()); err != nil {
			return err
		}
		if err := k.InstallWays(w); err != nil {
			return err
		}
	}
	a.enrollRunning(k, w)
	return nil
}
