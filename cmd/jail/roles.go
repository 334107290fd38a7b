// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"jail/loader"
	"jail/profiles"
)

type rolesCmd struct {
	JSON bool `name:"json" help:"Print an array."`
	configFlags
}

// Help is the rest of the help.
func (rolesCmd) Help() string {
	return `One line per role: id, name, mode, then what it allows of files, network and exec, then the place where it is written. To root, roles that are loaded and no longer configured are shown, too, as orphaned.

Examples:

    jail roles
    jail roles --json | jq -r '.[].name'
`
}

// roleLine is a role as it is listed.
type roleLine struct {
	ID      uint32 `json:"id"`
	Name    string `json:"name"`
	Mode    string `json:"mode"`
	Files   string `json:"files"`
	Network string `json:"network"`
	Exec    string `json:"exec"`
	Place   string `json:"place"`
	Builtin bool   `json:"builtin"`
	// Orphaned: loaded and no longer configured; it holds for those who have it.
	Orphaned bool `json:"orphaned"`
}

// Run lists the roles.
func (c *rolesCmd) Run(a *app) error {
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	list := []roleLine{}
	for _, r := range set.Roles() {
		list = append(list, describe(r))
	}
	list = append(list, orphans()...)
	if c.JSON {
		return a.json(list)
	}
	rows := make([][]string, len(list))
	for i, l := range list {
		rows[i] = []string{strconv.Itoa(int(l.ID)), l.Name, l.Mode, l.Files, l.Network, l.Exec, l.Place}
	}
	a.table([]string{"ID", "NAME", "MODE", "FILES", "NETWORK", "EXEC", "PLACE"}, rows)
	return nil
}

// orphans are the roles that are loaded and no longer configured, where this user may look.
func orphans() []roleLine {
	if !privileged() {
		return nil
	}
	k, err := loader.Open()
	if err != nil {
		return nil
	}
	defer k.Close()
	held, err := k.Roles()
	if err != nil {
		return nil
	}
	var list []roleLine
	for _, r := range held {
		if r.Orphaned {
			list = append(list, roleLine{
				ID: r.ID, Name: r.Name, Mode: "orphaned", Files: "?", Network: "?", Exec: "?",
				Place: "loaded, no longer configured", Orphaned: true,
			})
		}
	}
	return list
}

func describe(r *profiles.Role) roleLine {
	l := roleLine{ID: r.ID, Name: r.Name, Mode: "enforce", Place: r.Place.String(), Builtin: r.Builtin}
	if r.Permissive {
		l.Mode = "permissive"
	}
	rules := r.AllRules()
	var executable bool
	for _, f := range rules.Files {
		executable = executable || (f.Access&profiles.Exec != 0) != r.Flags.Has(profiles.AllowExec)
	}
	l.Files = verdict(r.Flags.Has(profiles.AllowFileAccess), len(rules.Files) > 0)
	l.Exec = verdict(r.Flags.Has(profiles.AllowExec), executable)
	l.Network = verdict(r.Flags.Has(profiles.AllowNetwork), len(rules.Network) > 0)
	if ports := openPorts(rules.Network); ports != "" && !r.Flags.Has(profiles.AllowNetwork) {
		l.Network = "ports " + ports
	}
	return l
}

// verdict is what a flag says, and whether there are exceptions to it.
func verdict(allowed, rules bool) string {
	word := "blocked"
	if allowed {
		word = "allowed"
	}
	if rules {
		word += " (rules)"
	}
	return word
}

// openPorts lists ports where the rules do nothing but allow them, without more conditions.
func openPorts(rules []profiles.NetworkRule) string {
	ports := make([]profiles.Ports, len(rules))
	for i, r := range rules {
		if !r.Allow || r.Prefix.IsValid() || r.Protocol != profiles.AnyProtocol || r.Direction != profiles.BothDirections {
			return ""
		}
		ports[i] = r.Ports
	}
	slices.SortFunc(ports, func(a, b profiles.Ports) int { return cmp.Compare(a.First, b.First) })
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = p.String()
	}
	return strings.Join(words, ",")
}
