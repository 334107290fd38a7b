// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"jail/profiles"
)

type showCmd struct {
	configFlags
	Role string `arg:"" help:"Role by name or id."`
}

// Help is the rest of the help.
func (showCmd) Help() string {
	return `The role is printed as it is written, with its comments: a file to copy and change. The rule sets that it includes follow.

Example:

    jail show webserver > my-server.toml
`
}

// Run prints the role.
func (c *showCmd) Run(a *app) error {
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	r, ok := set.Lookup(c.Role)
	if !ok {
		return unknownRole(set, c.Role)
	}
	a.printf("%s", source(r))
	for _, s := range r.Sets() {
		a.printf("\n# rule set %s, from %s\n%s", s.Name, s.Place, s.TOML())
	}
	return nil
}

// source is the text of a role: of a file that holds nothing else, all of it; otherwise
// the tables of the role with the comments above them. Where that cannot be told apart
// (inline tables), the whole file.
func source(r *profiles.Role) string {
	data := []byte(r.Source)
	var (
		p      unstable.Parser
		text   strings.Builder
		others bool
		mine   bool
		start  int
	)
	p.Reset(data)
	for p.NextExpression() {
		n := p.Expression()
		if n.Kind != unstable.Table && n.Kind != unstable.ArrayTable {
			continue
		}
		var path []string
		at := -1
		for it := n.Key(); it.Next(); {
			if at < 0 {
				at = headerStart(data, int(it.Node().Raw.Offset))
			}
			path = append(path, string(it.Node().Data))
		}
		if mine {
			text.Write(data[start:at])
		}
		mine = len(path) > 1 && path[0] == "roles" && path[1] == r.Name
		others = others || !mine
		start = at
	}
	if mine {
		text.Write(data[start:])
	}
	if !others || text.Len() == 0 {
		return r.Source
	}
	return text.String()
}

// headerStart is where the line of a table header begins, or the comment right above it.
func headerStart(data []byte, at int) int {
	at = bytes.LastIndexByte(data[:at], '\n') + 1
	for at > 0 {
		above := bytes.LastIndexByte(data[:at-1], '\n') + 1
		if !bytes.HasPrefix(bytes.TrimSpace(data[above:at]), []byte("#")) {
			break
		}
		at = above
	}
	return at
}
