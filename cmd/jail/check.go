// SPDX-License-Identifier: MIT

package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

type checkCmd struct {
	configFlags
	File []string `arg:"" optional:"" help:"Profiles to check, with the built-in roles; without any, the configuration."`
}

// Help is the rest of the help.
func (checkCmd) Help() string {
	return `Parses and compiles, loads nothing, and prints nothing when all is well. Mistakes come as FILE:LINE:COLUMN, all at once, with exit status 1.

Examples:

    jail check
    jail check ./worker.toml
`
}

// Run checks.
func (c *checkCmd) Run(a *app) error {
	list, err := c.read(a)
	if err != nil {
		return err
	}
	set, err := profiles.NewSet(list...)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range set.Roles() {
		_, err := r.Compile(neutralEnv())
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// read parses the files that are named; who owns those does not matter here.
func (c *checkCmd) read(a *app) ([]*profiles.Profile, error) {
	if len(c.File) == 0 {
		return a.readConfig(c.Config)
	}
	var (
		list []*profiles.Profile
		errs []error
	)
	for _, name := range c.File {
		p, err := readProfile(unix.AT_FDCWD, name, name, anyone)
		list, errs = append(list, p), append(errs, err)
	}
	return list, errors.Join(errs...)
}

// neutralEnv is a machine with one file system and no symbolic links: enough to find what
// is wrong with a role anywhere.
func neutralEnv() profiles.Env {
	return profiles.Env{
		Mounts:      []profiles.Mount{{Device: 1, Root: "/", Point: "/"}},
		Magic:       profiles.DefaultMagic(),
		CharDevices: profiles.DefaultCharDevices(),
	}
}
