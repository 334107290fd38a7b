// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jail/launcher"
	"jail/loader"
	"jail/profiles"
)

type runCmd struct {
	Role []string `sep:"none" placeholder:"ROLE" help:"Role by name or id. Repeated, they stack, and every one must allow."`
	launchFlags
	configFlags
	DryRun  bool     `help:"Print the roles, the file and the arguments; run nothing."`
	Command []string `arg:"" optional:"" passthrough:"partial" help:"The command and its arguments."`
}

// launchFlags are about the process, whatever its roles.
type launchFlags struct {
	Pod        uint64            `placeholder:"N" help:"Label of the jail; one is made up otherwise."`
	Var        map[string]string `mapsep:"none" placeholder:"K=V" help:"Value of $${K} in a role's paths (so far with --dry-run only)."`
	Permissive bool              `help:"Let the roles only report what they would refuse. Jails around this one still hold."`
	Report     bool              `help:"Stay as the command's parent, and sum up on standard error what it was denied. As root only."`
	KeepFD     []int             `name:"keep-fd" sep:"none" placeholder:"N" help:"Leave descriptor N open for the command; 3 and up are closed."`
}

// Help is the rest of the help.
func (runCmd) Help() string {
	return `The command replaces jail: same process, same descriptors 0 to 2, and its own exit status. Options end at "--" or at the first word that is none. Root loads the kernel part where that has not been done; for others no_new_privs is set.

Exit status: the command's own; 125 jail failed and ran nothing, 126 the command cannot be executed, 127 it was not found.

Examples:

    jail run --role webserver -- nginx -g 'daemon off;'
    jail run --role worker --role isolated -- ./job
    jail run --role restricted --dry-run -- cat /etc/passwd
    sudo jail run --role restricted --permissive --report -- ./server
`
}

// Run executes the command in place; it returns only when nothing was run.
func (c *runCmd) Run(a *app) error {
	if len(c.Role) == 0 {
		return withHint(errors.New("no role given"), "give one with --role; jail roles lists them")
	}
	if len(c.Command) == 0 {
		return withHint(errors.New("no command given"), "jail run --role ROLE -- COMMAND")
	}
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	roles, err := pick(set, c.Role)
	if err != nil {
		return err
	}
	spec := launcher.Spec{Pod: c.Pod, Command: c.Command, KeepFDs: c.KeepFD, Permissive: c.Permissive}
	for _, r := range roles {
		spec.Roles = append(spec.Roles, r.ID)
	}
	file, err := spec.Find()
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.dryRun(a, roles, file)
	}
	if len(c.Var) > 0 {
		return withHint(errors.New("--var: roles get their values when they are loaded"),
			"leave it out, or write the value into the role")
	}
	if c.Report {
		return c.report(a, spec, set)
	}
	return explain(c.launch(a, spec, set, roles), c.Role)
}

// pick finds the roles by name or id.
func pick(set *profiles.Set, keys []string) ([]*profiles.Role, error) {
	roles := make([]*profiles.Role, len(keys))
	for i, key := range keys {
		r, ok := set.Lookup(key)
		if !ok {
			return nil, unknownRole(set, key)
		}
		roles[i] = r
	}
	return roles, nil
}

func unknownRole(set *profiles.Set, key string) error {
	err := fmt.Errorf("unknown role %s", quoteShort(key))
	if near := set.Suggest(key); near != "" {
		return withHint(err, "did you mean %s? jail roles lists all", near)
	}
	return withHint(err, "jail roles lists them")
}

// quoteShort quotes what somebody typed, cut where it is long.
func quoteShort(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}

// launch runs the command, for root after seeing to the kernel part. A subject cannot, and
// need not: the kernel part that holds it answers.
func (c *runCmd) launch(a *app, spec launcher.Spec, set *profiles.Set, roles []*profiles.Role) error {
	if os.Geteuid() != 0 || jailed() {
		return launcher.Run(spec)
	}
	k, err := loader.Open()
	if errors.Is(err, loader.ErrNotLoaded) {
		k, err = c.loadAll(a, set)
	}
	if err != nil {
		return err
	}
	err = sameRoles(k, roles)
	if cerr := k.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	err = launcher.Run(spec)
	if !errors.Is(err, loader.ErrClosed) {
		return err
	}
	// Somebody else is loading: wait for the end of that.
	if k, err = c.loadAll(a, set); err != nil {
		return err
	}
	_ = k.Close()
	return launcher.Run(spec)
}

// sameRoles tells whether the kernel part means the same roles by their ids.
func sameRoles(k *loader.Kernel, roles []*profiles.Role) error {
	held, err := k.Roles()
	if err != nil {
		return err
	}
	for _, r := range roles {
		at := slices.IndexFunc(held, func(h loader.LoadedRole) bool { return h.ID == r.ID })
		switch {
		case at < 0:
			return withHint(fmt.Errorf("role %s is not loaded", r.Name), "jail reload")
		case held[at].Name != r.Name:
			return withHint(fmt.Errorf("role %d is loaded as %s, not as %s", r.ID, held[at].Name, r.Name), "jail reload")
		}
	}
	return nil
}

// explain adds what is known about why the command did not run.
func explain(err error, roles []string) error {
	names := strings.Join(roles, ", ")
	switch {
	case !errors.Is(err, launcher.ErrNotRunnable):
		return err
	case errors.Is(err, unix.EACCES):
		return withHint(err, "the role refused it (%s), or its file system is mounted noexec", names)
	case errors.Is(err, unix.EPERM):
		return withHint(err, "the role refuses programs that gain privilege (%s)", names)
	case errors.Is(err, unix.ENOEXEC):
		return withHint(err, "a script needs a first line that begins with #!")
	}
	return err
}

// dryRun prints what would be run, and under what; the whole is TOML.
func (c *runCmd) dryRun(a *app, roles []*profiles.Role, file string) error {
	argv := make([]string, len(c.Command))
	for i, arg := range c.Command {
		argv[i] = strconv.Quote(arg)
	}
	a.printf("# file = %s\n# argv = [%s]\n", strconv.Quote(file), strings.Join(argv, ", "))
	if c.Pod != 0 {
		a.printf("# pod = %d\n", c.Pod)
	}
	env := neutralEnv()
	env.Vars = c.Var
	for _, r := range roles {
		if _, err := r.Compile(env); err != nil {
			return err
		}
		a.printf("\n%s", r.TOML())
	}
	return nil
}
