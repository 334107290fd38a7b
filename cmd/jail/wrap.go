// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"jail/launcher"
)

type wrapCmd struct {
	Role []string `sep:"none" placeholder:"ROLE" help:"Role by name or id. Repeated, they stack."`
	configFlags
	Command []string `arg:"" optional:"" passthrough:"partial" help:"The command and its first arguments."`
}

// installedPath is where make install puts this program; a script must not depend on PATH.
const installedPath = "/usr/bin/jail"

// Help is the rest of the help.
func (wrapCmd) Help() string {
	return `Prints a shell script that runs the command under the roles and passes its own arguments on. The command is found now and written with its full path. Whoever starts the command without the script starts it unjailed.

A script in another language can name jail in its first line instead:

    #!/usr/bin/jail run --role worker -- /usr/bin/python3

Examples:

    jail wrap --role isolated make > ~/bin/make && chmod +x ~/bin/make
    jail wrap --role worker -- python3 -u
`
}

// Run prints the script.
func (c *wrapCmd) Run(a *app) error {
	if len(c.Role) == 0 {
		return withHint(errors.New("no role given"), "give one with --role; jail roles lists them")
	}
	if len(c.Command) == 0 {
		return withHint(errors.New("no command given"), "jail wrap --role ROLE COMMAND")
	}
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	if _, err := pick(set, c.Role); err != nil {
		return err
	}
	file, err := launcher.Spec{Command: c.Command}.Find()
	if err == nil {
		file, err = filepath.Abs(file)
	}
	if err != nil {
		return err
	}
	words := []string{"exec", installedPath, "run"}
	for _, r := range c.Role {
		words = append(words, "--role", shellQuote(r))
	}
	words = append(words, "--", shellQuote(file))
	for _, arg := range c.Command[1:] {
		words = append(words, shellQuote(arg))
	}
	a.printf("#!/bin/sh\n%s \"$@\"\n", strings.Join(words, " "))
	return nil
}

// shellQuote writes a word so that a shell reads it back to the byte.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:=@%,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return fmt.Sprintf("'%s'", strings.ReplaceAll(s, "'", `'\''`))
}
