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
	adHocFlags
	launchFlags
	configFlags
	DryRun  bool     `help:"Print the roles, the file and the arguments; run nothing."`
	Command []string `arg:"" optional:"" passthrough:"partial" help:"The command and its arguments."`
}

// launchFlags are about the process, whatever its roles.
type launchFlags struct {
	Pod        uint64            `placeholder:"N" help:"Label of the jail; one is made up otherwise."`
	Var        map[string]string `mapsep:"none" placeholder:"K=V" help:"Value of $${K} in the paths of this run's roles."`
	User       string            `placeholder:"U[:G]" help:"Root only: run the command as this user, with its groups, or with group G alone."`
	Permissive bool              `help:"Let the roles only report what they would refuse. Jails around this one still hold."`
	Report     bool              `help:"Stay as the command's parent, and sum up on standard error what it was denied. As root only."`
	KeepFD     []int             `name:"keep-fd" sep:"none" placeholder:"N" help:"Leave descriptor N open for the command; 3 and up are closed."`
}

// Help is the rest of the help.
func (runCmd) Help() string {
	return `Rules without --role start from "permissive"; an area that they mention becomes an allow-list: files by -r, -w and -x (what programs read in order to start is added), network by --connect, --bind, --unix and --dns. Without any -x, exec is not restricted. With --role they add to a private copy of each role; for who is not root, or is inside a jail, they are one role more, which only narrows, and jail serve must be running to make it.

The command replaces jail: same process, same descriptors 0 to 2, and its own exit status. Options end at "--" or at the first word that is none. Root loads the kernel part where that has not been done; for others no_new_privs is set.

Exit status: the command's own; 125 jail failed and ran nothing, 126 the command cannot be executed, 127 it was not found.

Examples:

    jail run --role webserver -- nginx -g 'daemon off;'
    jail run --role worker --role isolated -- ./job
    jail run --role restricted --dry-run -- cat /etc/passwd
    sudo jail run -r /usr -r /etc -w . -- make
    sudo jail run --deny '**/.env' -- npm install
    sudo jail run --connect 443 --user www-data -- ./fetch
    sudo jail run --role restricted --permissive --report -- ./server
`
}

// Run executes the command in place; it returns only when nothing was run.
func (c *runCmd) Run(a *app) error {
	rules, err := c.rules(a)
	if err != nil {
		return err
	}
	if len(c.Role) == 0 && rules.Empty() {
		return withHint(errors.New("no role given, and no rules"), "give one with --role (jail roles lists them), or say what is allowed: -r, -w, -x, --deny, --connect...")
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
	if c.User != "" {
		if spec.User, err = launcher.FindUser(c.User); err != nil {
			return fmt.Errorf("--user %s: %w", quoteShort(c.User), err)
		}
	}
	file, err := spec.Find()
	if err != nil {
		return err
	}
	j := jobRoles{set: set, roles: roles}
	if err := c.adHoc(&j, rules); err != nil {
		return err
	}
	if c.DryRun {
		return c.dryRun(a, j, file)
	}
	if c.Report {
		return c.report(a, spec, set)
	}
	return explain(c.launch(a, spec, j), j.names())
}

// jobRoles is the roles of one start, outermost first: of each, whether it is made for it.
type jobRoles struct {
	set   *profiles.Set
	roles []*profiles.Role
	adHoc []bool // as long as roles
	vars  map[string]string
	rules *profiles.AdHoc // that the server makes the last role of; for who may not do so here
}

func (j jobRoles) names() []string {
	var names []string
	for _, r := range j.roles {
		names = append(names, r.Name)
	}
	return names
}

// privileged tells whether this process may change what the kernel part holds: root outside
// any jail.
func privileged() bool { return os.Geteuid() == 0 && !loader.Jailed() }

// adHoc adds the rules of the command line: for root to copies of the roles, for others as
// a role of their own on top, which can only narrow.
func (c *runCmd) adHoc(j *jobRoles, rules *profiles.AdHoc) error {
	j.adHoc = make([]bool, len(j.roles))
	if rules.Empty() && len(c.Var) == 0 {
		return nil
	}
	var err error
	if j.vars, err = c.variables(); err != nil {
		return err
	}
	if privileged() && len(j.roles) > 0 {
		for i, r := range j.roles {
			j.roles[i], j.adHoc[i] = rules.AddTo(r), true
		}
		return nil
	}
	if rules.Empty() {
		if c.DryRun {
			return nil
		}
		return withHint(errors.New("--var: values for the roles of one run need root outside any jail"),
			"leave it out, or write the value into the role")
	}
	env, err := c.environment(j.vars)
	if err != nil {
		return err
	}
	if j.rules, err = rules.Canonical(env); err != nil {
		return err
	}
	alone, err := rules.Alone(env)
	if err != nil {
		return err
	}
	j.roles, j.adHoc = append(j.roles, alone), append(j.adHoc, true)
	return nil
}

// readable tells whether this user may follow links as process 1 sees them.
func readable(env profiles.Env) bool {
	_, err := env.Resolve("/etc")
	return err == nil
}

// environment is the machine; for --dry-run, as far as this user may look at it.
func (c *runCmd) environment(vars map[string]string) (profiles.Env, error) {
	env := neutralEnv()
	if machine, err := loader.Environment(); !c.DryRun || err == nil && readable(machine) {
		if err != nil {
			return env, err
		}
		env = machine
	}
	env.Vars = vars
	return env, nil
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
func (c *runCmd) launch(a *app, spec launcher.Spec, j jobRoles) error {
	if !privileged() {
		for i, r := range j.roles {
			if j.adHoc[i] {
				continue
			}
			spec.Roles = append(spec.Roles, r.ID)
		}
		if !slices.Contains(j.adHoc, true) {
			return launcher.Run(spec)
		}
		id, done, err := launcher.MakeRole(j.rules)
		if errors.Is(err, launcher.ErrNoServer) {
			return withHint(fmt.Errorf("rules on the command line: %w", err),
				"have root start it: systemctl enable --now jail-enroll.socket; or put them into a role below "+configDir+"/"+rolesDir)
		}
		if err != nil {
			return fmt.Errorf("rules on the command line: %w", err)
		}
		spec.Roles = append(spec.Roles, id)
		return errors.Join(launcher.Run(spec), done())
	}
	k, err := loader.Open()
	if errors.Is(err, loader.ErrNotLoaded) {
		k, err = c.loadAll(a, j.set)
	}
	if err != nil {
		return err
	}
	err = launchLoaded(k, spec, j)
	err = errors.Join(err, k.Close())
	if !errors.Is(err, loader.ErrClosed) {
		return err
	}
	// Somebody else is loading: wait for the end of that.
	if k, err = c.loadAll(a, j.set); err != nil {
		return err
	}
	return errors.Join(launchLoaded(k, spec, j), k.Close())
}

// launchLoaded installs the roles that are made for this start, and starts. It returns only
// where nothing was run.
func launchLoaded(k *loader.Kernel, spec launcher.Spec, j jobRoles) (err error) {
	var loaded, made []*profiles.Role
	for i, r := range j.roles {
		if j.adHoc[i] {
			made = append(made, r)
		} else {
			loaded = append(loaded, r)
		}
	}
	if err := sameRoles(k, loaded); err != nil {
		return err
	}
	if err := k.RefreshMounts(); err != nil {
		return err
	}
	var ids []uint32
	if len(made) > 0 {
		adHoc, err := k.MakeAdHoc(made, j.vars)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, adHoc.Close()) }()
		ids = adHoc.IDs
	}
	spec.Roles = nil
	for i, r := range j.roles {
		if j.adHoc[i] {
			spec.Roles, ids = append(spec.Roles, ids[0]), ids[1:]
		} else {
			spec.Roles = append(spec.Roles, r.ID)
		}
	}
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
func (c *runCmd) dryRun(a *app, j jobRoles, file string) error {
	argv := make([]string, len(c.Command))
	for i, arg := range c.Command {
		argv[i] = strconv.Quote(arg)
	}
	a.printf("# file = %s\n# argv = [%s]\n", strconv.Quote(file), strings.Join(argv, ", "))
	if c.Pod != 0 {
		a.printf("# pod = %d\n", c.Pod)
	}
	env, err := c.environment(j.vars)
	if err != nil {
		return err
	}
	if j.vars == nil {
		env.Vars = c.Var
	}
	for i, r := range j.roles {
		if _, err := r.Compile(env); err != nil {
			return err
		}
		text := r.TOML()
		if j.adHoc[i] {
			a.printf("\n# Made for this run, under an id of its own. To keep it, give it a free id.")
		}
		a.printf("\n%s", text)
	}
	return nil
}
