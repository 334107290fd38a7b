// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"jail/loader"
	"jail/profiles"
)

type loadCmd struct {
	Seal  sealFlag `placeholder:"strict" help:"Then close what is loaded to everybody, root included, until the next boot. --seal=strict: no role, stricter policy or mark comes either."`
	Early bool     `help:"At boot: mount what is missing, wait for nothing; where jail is loaded already, as by the initramfs, read the configuration again."`
	configFlags
}

// sealFlag is a flag with or without a value.
type sealFlag loader.Seal

// IsBool makes the value optional.
func (sealFlag) IsBool() bool { return true }

// Decode reads what follows the =, if anything does.
func (f *sealFlag) Decode(ctx *kong.DecodeContext) error {
	*f = sealFlag(loader.SealRoles)
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	if value := ctx.Scan.Pop().String(); value != "strict" {
		return fmt.Errorf("the only value is strict, not %q", value)
	}
	*f = sealFlag(loader.SealStrict)
	return nil
}

// Help is the rest of the help.
func (loadCmd) Help() string {
	return `Everything is pinned below ` + loader.Dir + `: no daemon, and enforcement goes on until "jail unload" or a reboot. Where a whole kernel part is loaded, nothing is changed. Where pins are missing, after a load that was interrupted for instance, they are made again, and who is jailed stays so. Where something is pinned there that is not jail's, or the directory is not root's, nothing is changed and the exit status is 1. As root only.

--seal seals what is loaded until the next boot, for root outside any jail too. Refused from then on: unload, upgrade, any change of a loaded role that is not known to be stricter, or of the tables of paths and control groups, a mark changed or taken away; access to the maps, programs and pins of jail but by this program, which then only reads them; unmounting or covering the directory of the pins; modules, kexec, raw memory, kprobes, new programs that trace the kernel, and kernel.ftrace_enabled. New roles, stricter policies (jail reload), rules of one start (-r, --connect and the like) and marks may come, but not with --seal=strict; roles as far as the room goes that is set aside for them, which "jail status" shows. Go on: run, enroll, serve, ps, status, log, why. File systems that are mounted later are in no role's file rules: closed to roles that have some. It is refused while other processes hold maps of jail (jail serve, jail log -f): stop them, seal, start them again. "jail status" tells what a seal leaves open.

Examples:

    sudo jail load && jail status
    sudo jail load --seal

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
	return errors.Join(c.seal(k), k.Close())
}

// seal seals where that was asked for.
func (c *loadCmd) seal(k *loader.Kernel) error {
	err := k.Seal(loader.Seal(c.Seal))
	if errors.Is(err, loader.ErrHeld) {
		err = withHint(err, "stop these processes (systemctl stop jail-enroll.service jail-journal.service), seal, and start them again")
	}
	return err
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
		if err := reload(k, set, w); err != nil {
			return err
		}
	}
	a.enrollRunning(k, w)
	return c.seal(k)
}
