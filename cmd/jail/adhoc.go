// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

// adHocFlags are rules given on the command line.
type adHocFlags struct {
	Read    []string `short:"r" sep:"none" placeholder:"PATH" help:"Allow reading PATH and all beneath it. Like -w and -x: a pattern may be given; a PATH that is missing is an error, but not with a - before it."`
	Write   []string `short:"w" sep:"none" placeholder:"PATH" help:"Allow reading and changing PATH."`
	Exec    []string `short:"x" sep:"none" placeholder:"PATH" help:"Allow reading and executing PATH."`
	Deny    []string `sep:"none" placeholder:"PATH" help:"Deny everything with PATH, whatever else this command line allows."`
	Connect []string `sep:"none" placeholder:"TARGET" help:"Allow connecting to [ADDR:]PORT[/udp]."`
	Bind    []string `sep:"none" placeholder:"TARGET" help:"Allow binding [ADDR:]PORT[/udp]."`
	Unix    []string `sep:"none" placeholder:"PATH" help:"Allow the UNIX socket PATH, or the abstract @NAME."`
	NoNet   bool     `help:"Close the network, and all unusual socket families."`
	DNS     bool     `name:"dns" help:"Allow asking the machine's name servers and its local resolver."`
	Resolve bool     `help:"Look up host names in --connect and --bind, once, now."`
}

// option is one of them with its value, as messages and rules name it.
type option struct{ name, value string }

// String is the option as it could be typed.
func (o option) String() string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,"
	if o.value != "" && strings.Trim(o.value, plain) == "" {
		return o.name + " " + o.value
	}
	return o.name + " '" + strings.ReplaceAll(o.value, "'", `'\''`) + "'"
}

func (o option) place() profiles.Place { return profiles.Place{File: "command line: " + o.String()} }

// rules reads the options.
func (f *adHocFlags) rules(a *app) (*profiles.AdHoc, error) {
	r := &profiles.AdHoc{NoNet: f.NoNet, DNS: f.DNS}
	if f.NoNet && (f.DNS || len(f.Connect)+len(f.Bind) > 0) {
		return nil, errors.New("--no-net contradicts --connect, --bind and --dns: leave one out")
	}
	cwd, err := workingDirectory()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, list := range []struct {
		name   string
		values []string
		access profiles.Access
	}{
		{"-r", f.Read, profiles.Read},
		{"-w", f.Write, profiles.Read | profiles.Write},
		{"-x", f.Exec, profiles.Read | profiles.Exec | profiles.Map},
		{"--deny", f.Deny, 0},
	} {
		for _, value := range list.values {
			o := option{list.name, value}
			patterns, err := o.patterns(cwd, list.access == 0)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			for _, p := range patterns {
				r.Files = append(r.Files, profiles.FileRule{Path: p, Access: list.access, Place: o.place()})
			}
		}
	}
	for _, list := range []struct {
		name      string
		values    []string
		direction profiles.Direction
	}{{"--connect", f.Connect, profiles.Connect}, {"--bind", f.Bind, profiles.Bind}} {
		for _, value := range list.values {
			o := option{list.name, value}
			rules, err := f.target(a, o, list.direction)
			if err != nil {
				errs = append(errs, err)
			}
			r.Network = append(r.Network, rules...)
		}
	}
	for _, value := range f.Unix {
		o := option{"--unix", value}
		name, err := o.socket(cwd)
		if err != nil {
			errs = append(errs, err)
		}
		r.Unix = append(r.Unix, profiles.Text{Value: name, Place: o.place()})
	}
	if err := joinOne(errs); err != nil {
		return nil, err
	}
	return r, nil
}

// joinOne keeps the hint of an error that is the only one.
func joinOne(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// workingDirectory asks the kernel: PWD in the environment may name another path to it.
func workingDirectory() (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Getcwd(buf)
	if err != nil {
		return "", fmt.Errorf("working directory: %w", err)
	}
	return unix.ByteSliceToString(buf[:n]), nil
}

// patterns are what the value of a path option matches: an existing file of that very name,
// else what the pattern does. A denial takes both.
func (o option) patterns(cwd string, deny bool) ([]string, error) {
	fail := func(err error) ([]string, error) { return nil, fmt.Errorf("%s: %w", o, err) }
	name, optional := o.value, deny
	if rest, ok := strings.CutPrefix(name, "-"); ok && !deny {
		name, optional = rest, true
	}
	switch {
	case name == "":
		return fail(errors.New("path is empty"))
	case strings.HasPrefix(name, "~"):
		return fail(errors.New("only a shell expands ~: write ${HOME}, or the path without quotes"))
	case len(name) > profiles.MaxPathLength:
		return nil, fmt.Errorf("%s: path is longer than %d bytes", o.name, profiles.MaxPathLength)
	}
	literal, err := absolute(cwd, name)
	if err != nil {
		return fail(err)
	}
	var (
		list []string
		st   unix.Stat_t
	)
	err = ignoringEINTR(func() error { return unix.Stat(literal, &st) })
	pattern := profiles.IsPattern(name)
	switch {
	case err == nil:
		if err := sameForInit(literal, &st); err != nil {
			return fail(err)
		}
		list = append(list, profiles.QuotePattern(literal))
	case pattern:
	case !optional && errors.Is(err, os.ErrNotExist):
		return nil, withHint(fmt.Errorf("%s: %w", o, err), "to allow what may come to be there, write %s", option{o.name, "-" + dotted(o.value)})
	case !optional:
		return fail(err)
	default:
		list = append(list, profiles.QuotePattern(literal))
	}
	if pattern && (deny || len(list) == 0) {
		if !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "**/") && name != "**" && !strings.HasPrefix(name, "${") {
			if strings.HasPrefix(cwd, "(") {
				return fail(errUnreachable)
			}
			name = strings.TrimSuffix(profiles.QuotePattern(cwd), "/") + "/" + strings.TrimPrefix(name, "./")
		}
		list = append(list, name)
	}
	for _, p := range list {
		if err := profiles.CheckPattern(p); err != nil {
			return fail(err)
		}
	}
	return list, nil
}

// dotted makes a relative path one that cannot be taken for an option's name.
func dotted(name string) string {
	if name[0] == '/' || name[0] == '.' {
		return name
	}
	return "./" + name
}

var errUnreachable = errors.New("the working directory is not below the root directory: give an absolute path")

// absolute gives the path without . and .., where .. is the parent of where symbolic
// links lead, as for the kernel.
func absolute(cwd, name string) (string, error) {
	done := "/"
	if !strings.HasPrefix(name, "/") {
		if !strings.HasPrefix(cwd, "/") {
			return "", errUnreachable
		}
		done = cwd
	}
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if real, err := filepath.EvalSymlinks(done); err == nil {
				done = real
			}
			done = path.Dir(done)
		default:
			done = path.Join(done, part)
		}
	}
	return done, nil
}

// sameForInit makes sure that a path means the same to process 1, whose view rules are
// about. Only root can look.
func sameForInit(name string, here *unix.Stat_t) error {
	var there unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Stat("/proc/1/root"+name, &there) })
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil
	case errors.Is(err, os.ErrNotExist) || err == nil && (here.Dev != there.Dev || here.Ino != there.Ino):
		if strings.HasPrefix(name, "/proc/") || strings.HasPrefix(name, "/dev/") {
			return nil // judged by type and number wherever they are mounted
		}
		return errors.New("is another file, or none, for process 1: rules are about paths as that sees them")
	}
	return err
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// target reads a value of --connect or --bind.
func (f *adHocFlags) target(a *app, o option, direction profiles.Direction) ([]profiles.NetworkRule, error) {
	var resolve func(string) ([]netip.Addr, error)
	if f.Resolve {
		resolve = func(host string) ([]netip.Addr, error) { return lookUp(a, o, host) }
	}
	rules, err := profiles.ParseTarget(o.value, direction, resolve)
	if err != nil {
		err = fmt.Errorf("%s: %w", o, err)
		if !f.Resolve && strings.Contains(err.Error(), "is a name") {
			err = withHint(err, "with --resolve it is looked up once, now")
		}
		return nil, err
	}
	for i := range rules {
		rules[i].Place = o.place()
	}
	return rules, nil
}

// lookUp asks for a host's addresses, once, and tells what it got.
func lookUp(a *app, o option, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(a.ctx, 15*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(addrs))
	for i, addr := range addrs {
		names[i] = addr.Unmap().String()
	}
	a.message(cyan, "hint", fmt.Sprintf("%s: %s is %s", o, host, strings.Join(names, ", ")))
	return addrs, nil
}

// socket reads a value of --unix.
func (o option) socket(cwd string) (string, error) {
	name := o.value
	if !strings.HasPrefix(name, "@") && name != "" && !strings.HasPrefix(name, "**") && !strings.HasPrefix(name, "${") {
		if profiles.IsPattern(name) {
			if !strings.HasPrefix(name, "/") {
				name = strings.TrimSuffix(profiles.QuotePattern(cwd), "/") + "/" + strings.TrimPrefix(name, "./")
			}
		} else {
			var err error
			if name, err = absolute(cwd, name); err != nil {
				return "", fmt.Errorf("%s: %w", o, err)
			}
			name = profiles.QuotePattern(name)
		}
	}
	if err := profiles.CheckUnix(name); err != nil {
		return "", fmt.Errorf("%s: %w", o, err)
	}
	return name, nil
}

// variables are the values of ${NAME} in the roles of this start.
func (c *runCmd) variables() (map[string]string, error) {
	vars := make(map[string]string)
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		vars["HOME"], vars["USER"] = u.HomeDir, u.Username
	}
	if home := os.Getenv("HOME"); path.IsAbs(home) {
		vars["HOME"] = path.Clean(home)
	}
	cwd, err := workingDirectory()
	if err != nil {
		return nil, err
	}
	if path.IsAbs(cwd) {
		vars["PWD"] = cwd
	}
	if c.Pod != 0 {
		vars["POD"] = strconv.FormatUint(c.Pod, 10)
	}
	for name, value := range c.Var {
		vars[name] = value
	}
	return vars, nil
}
