// SPDX-License-Identifier: MIT

// Command jail starts programs inside a kernel-enforced jail, and looks after the BPF
// programs that enforce it. See man/jail.1 and the README at the top.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"jail/launcher"
	_ "jail/launcher/firststage" // runs before main, where the linker was told so
)

// Exit statuses. Those of run are env(1)'s, so that they differ from most commands'.
const (
	statusOK       = 0
	statusFailed   = 1
	statusUsage    = 2
	statusSelf     = 125 // run: jail itself failed
	statusCannot   = 126 // run: found but not runnable
	statusNotFound = 127 // run: not found
)

// errNo is an answer, not a mishap: exit status 1 and nothing to add to the output.
var errNo = errors.New("no")

// cli is the command line; each command is in the file of its name.
type cli struct {
	Help helpFlag `short:"h" help:"Show help and exit."`

	Run     runCmd     `cmd:"" group:"jails" help:"Run a command inside a jail."`
	PS      psCmd      `cmd:"" group:"jails" name:"ps" help:"List the jailed threads."`
	Log     logCmd     `cmd:"" group:"jails" help:"Print what happened: denials, enrollments, execs."`
	Why     whyCmd     `cmd:"" group:"jails" help:"Explain the latest denials, and what would allow them."`
	Mark    markCmd    `cmd:"" group:"jails" help:"Jail an executable at every start, however it is started."`
	Unmark  unmarkCmd  `cmd:"" group:"jails" help:"Take the mark off."`
	Marks   marksCmd   `cmd:"" group:"jails" help:"List, check or restore marks."`
	Enroll  enrollCmd  `cmd:"" group:"jails" help:"Jail a process that is running."`
	Roles   rolesCmd   `cmd:"" group:"roles" help:"List the roles."`
	Show    showCmd    `cmd:"" group:"roles" help:"Print a role and the rule sets that it includes."`
	Explain explainCmd `cmd:"" group:"roles" help:"Tell what a role says about an operation, and why."`
	Check   checkCmd   `cmd:"" group:"roles" help:"Check profiles, or the whole configuration."`
	Load    loadCmd    `cmd:"" group:"kernel" help:"Load the kernel part with all roles."`
	Unload  unloadCmd  `cmd:"" group:"kernel" help:"Remove the kernel part."`
	Reload  reloadCmd  `cmd:"" group:"kernel" help:"Read the configuration again and install its roles."`
	Upgrade upgradeCmd `cmd:"" group:"kernel" help:"Let this version's programs take over, without a gap."`
	Status  statusCmd  `cmd:"" group:"kernel" help:"Tell whether the kernel part is whole."`
	Doctor  doctorCmd  `cmd:"" group:"kernel" help:"Check everything that jail needs of this machine."`
	Wrap    wrapCmd    `cmd:"" group:"jails" help:"Write a script that runs a command inside a jail."`
	Serve   serveCmd   `cmd:"" group:"jails" help:"Answer enrollment requests on a socket."`
	Version versionCmd `cmd:"" group:"kernel" help:"Print the version."`
}

// app is what commands share.
type app struct {
	*output
	ctx context.Context
	// gained tells that this process was started with more privilege than its caller
	// has; it has been given up, but nothing of the caller's is to be believed.
	gained bool
}

func main() {
	out := newOutput(os.Stdout, os.Stderr)
	if len(os.Args) == 0 {
		os.Args = []string{"jail"}
	}
	args := splitShebang(os.Args[1:])
	os.Exit(out.guard(args, func() int { return execute(out, args) }))
}

// execute runs one command line and returns its exit status.
func execute(out *output, args []string) int {
	gained, err := dropPrivilege(args)
	if err == nil {
		err = dispatch(&app{output: out, ctx: context.Background(), gained: gained}, args)
	}
	if ferr := out.flush(); ferr != nil && (err == nil || errors.Is(err, errNo)) {
		err = ferr
	}
	out.fail(err)
	return exitStatus(args, err)
}

func dispatch(a *app, args []string) error {
	var c cli
	parser, err := newParser(&c, a.output)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usageError{errors.New("no command given"), "jail --help"}
	}
	args, command := splitCommand(parser.Model, args)
	ctx, err := parser.Parse(args)
	switch {
	case errors.Is(err, errHelp):
		return nil
	case err != nil:
		return usageError{err, helpOf(err)}
	}
	c.Run.Command, c.Wrap.Command = command, command
	return ctx.Run(a)
}

// helpOf is the command that explains what was mistyped.
func helpOf(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if n := parse.Context.Selected(); n != nil {
			return "jail " + n.Name + " --help"
		}
	}
	return "jail --help"
}

// newParser builds the parser. kong exits by itself only where it has a help flag of its own.
func newParser(c *cli, out *output) (*kong.Kong, error) {
	return kong.New(
		c,
		kong.Name("jail"),
		kong.Description("Run programs in a jail that the kernel enforces, by BPF LSM programs."),
		kong.NoDefaultHelp(),
		kong.Writers(out.stdout, out.stderr),
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 80, NoAppSummary: true}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "jails", Title: "Jails:"},
			{Key: "roles", Title: "Roles:"},
			{Key: "kernel", Title: "The kernel part:"},
		}),
	)
}

// decodeString takes a word as it is; kong's own mapper sends it through JSON, which
// replaces bytes that are no UTF-8.
func decodeString(ctx *kong.DecodeContext, target reflect.Value) error {
	word, err := ctx.Scan.PopValue("string")
	if err == nil {
		target.SetString(word.String())
	}
	return err
}

// exitStatus is the status that an error ends with.
func exitStatus(args []string, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return statusOK
	case !isRun(args) && errors.As(err, &usage):
		return statusUsage
	case !isRun(args):
		return statusFailed
	case errors.Is(err, launcher.ErrNotFound):
		return statusNotFound
	case errors.Is(err, launcher.ErrNotRunnable):
		return statusCannot
	}
	return statusSelf
}

func isRun(args []string) bool { return len(args) > 0 && args[0] == "run" }

// usageError is a mistake on the command line.
type usageError struct {
	error
	help string // the command that explains
}

func (e usageError) Unwrap() error { return e.error }

// errHelp ends parsing once help was printed.
var errHelp = errors.New("help")

type helpFlag bool

// BeforeReset prints the help of the command that was selected; kong calls it when it
// meets the flag.
func (helpFlag) BeforeReset(ctx *kong.Context) error {
	n := ctx.Selected()
	fmt.Fprintf(ctx.Stdout, "Usage: %s\n", synopsis(n))
	if err := ctx.PrintUsage(false); err != nil {
		return err
	}
	if n == nil {
		fmt.Fprint(ctx.Stdout, "\nRun \"jail COMMAND --help\" for its flags and examples.\n")
	}
	return errHelp
}

// synopsis is the form of a command; nil: of all.
func synopsis(n *kong.Node) string {
	if n == nil {
		return "jail COMMAND [FLAG...]"
	}
	s := "jail " + n.Name + " [FLAG...]"
	for _, p := range n.Positional {
		switch name := strings.ToUpper(p.Name); {
		case p.Passthrough:
			s += " [--] " + name + " [ARG...]"
		case !p.Required:
			s += " [" + name + "...]"
		default:
			s += " " + name
		}
	}
	return s
}

// splitShebang takes apart the one argument that the kernel makes of all that follows
// the interpreter in `#!/usr/bin/jail run --role worker -- /usr/bin/python3`.
func splitShebang(args []string) []string {
	if len(args) == 0 || !strings.HasPrefix(args[0], "run ") {
		return args
	}
	return append(strings.Fields(args[0]), args[1:]...)
}

// splitCommand cuts the arguments of run and wrap where its command begins: after the first `--`,
// or at the first word that is neither an option nor an option's value. kong would find
// the same place, but copies all words for each of them.
func splitCommand(model *kong.Application, args []string) (own, command []string) {
	if !isRun(args) && (len(args) == 0 || args[0] != "wrap") {
		return args, nil
	}
	var flags []*kong.Flag
	for _, group := range findCommand(model, args[0]).AllFlags(false) {
		flags = append(flags, group...)
	}
	for i := 1; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--":
			return args[:i], args[i+1:]
		case len(arg) < 2 || arg[0] != '-':
			return args[:i], args[i:]
		case len(arg) > 2 && arg[2] == '=' && valueFollows(flags, arg[:2]):
			args = slices.Clone(args)
			args[i] = asOneWord(flags, arg[:2], arg[3:])
		case valueFollows(flags, arg):
			if i++; i < len(args) && optionalPath(args[i]) {
				// kong takes the value for an option unless it is one word with its own.
				joined := append(slices.Clone(args[:i-1]), asOneWord(flags, arg, args[i]))
				i--
				args = append(joined, args[i+2:]...)
			}
		}
	}
	return args, nil
}

// optionalPath tells whether a word is a path that may be missing, and no option: -/srv, -./x.
func optionalPath(word string) bool {
	return len(word) > 1 && word[0] == '-' && strings.IndexByte("/.*?[$~", word[1]) >= 0
}

// asOneWord writes an option and its value as --NAME=VALUE.
func asOneWord(flags []*kong.Flag, option, value string) string {
	if len(option) == 2 {
		for _, f := range flags {
			if f.Short == rune(option[1]) {
				return "--" + f.Name + "=" + value
			}
		}
	}
	return option + "=" + value
}

// valueFollows tells whether an option takes the next word for its value. Of an option
// that does not exist, kong will say so.
func valueFollows(flags []*kong.Flag, arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		for _, f := range flags {
			if f.Name == name {
				return !f.IsBool()
			}
		}
		return false
	}
	for i, short := range arg[1:] {
		for _, f := range flags {
			if f.Short == short && !f.IsBool() {
				return i+2 == len(arg) // otherwise the rest of the word is the value
			}
		}
	}
	return false
}

func findCommand(model *kong.Application, name string) *kong.Node {
	for _, n := range model.Children {
		if n.Name == name {
			return n
		}
	}
	return model.Node
}
