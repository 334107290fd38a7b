// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"jail/loader"
	"jail/profiles"
)

type explainCmd struct {
	Role   string   `arg:"" help:"Role by name or id."`
	Op     string   `arg:"" help:"What is done."`
	Object []string `arg:"" optional:"" help:"To what."`
	configFlags
	JSON bool `name:"json" help:"Print an object."`
}

// Help is the rest of the help.
func (explainCmd) Help() string {
	return `The verdict without running anything, from the role compiled as "jail load" does it. The first word of the output is "allow" or "deny"; exit status 0 for either. As root it warns where what the kernel holds was made of another text.

Operations:

    connect, send, bind   [tcp|udp] [ADDRESS:]PORT
    connect, send         PATH or @NAME of a UNIX socket beyond the jail
    listen                PORT, as bind; 0 for a socket that was not bound
    read, write, exec, map, open, create, delete, rename, chmod, truncate, ...   PATH
    socket                FAMILY or KIND, as in families
    setuid, capset, gain, ptrace, bpf, mount, chroot, userns, module, memfd_exec, jit

Examples:

    jail explain webserver connect tcp 10.0.0.5:5432
    jail explain worker bind udp 53
    jail explain restricted read /etc/passwd
`
}

// answer is what explain says.
type answer struct {
	Verdict string       `json:"verdict"` // allow or deny
	Role    string       `json:"role"`
	Op      string       `json:"op"`
	Object  string       `json:"object,omitempty"`
	Rule    *loader.Rule `json:"rule"`
	Why     string       `json:"why"`
	Over    []string     `json:"over"` // places and texts of the rules that match too
}

// flagOps are the operations that only a flag governs.
var flagOps = map[string]string{
	"setuid": "allow_setuid", "capset": "allow_setuid", "gain": "allow_setuid",
	"ptrace": "allow_ptrace", "traceme": "allow_ptrace", "bpf": "allow_bpf", "perfmon": "allow_bpf",
	"mount": "allow_mount", "chroot": "allow_chroot", "userns": "allow_userns",
	"module": "allow_module_load", "module_load": "allow_module_load",
	"memfd_exec": "allow_memfd_exec", "jit": "allow_jit",
}

// fileOps are the operations on files, and the access that they need.
var fileOps = map[string]profiles.Access{
	"read": profiles.Read, "open": profiles.Read, "list": profiles.Read,
	"write": profiles.Write, "create": profiles.Write, "delete": profiles.Write, "unlink": profiles.Write,
	"rename": profiles.Write, "link": profiles.Write, "symlink": profiles.Write, "mkdir": profiles.Write,
	"rmdir": profiles.Write, "mknod": profiles.Write, "truncate": profiles.Write, "chmod": profiles.Write,
	"chown": profiles.Write, "utimes": profiles.Write, "setxattr": profiles.Write,
	"exec": profiles.Exec, "map": profiles.Map,
}

// Run explains.
func (c *explainCmd) Run(a *app) error {
	set, err := c.roles(a)
	if err != nil {
		return err
	}
	roles, err := pick(set, []string{c.Role})
	if err != nil {
		return err
	}
	role := roles[0]
	env, err := loader.Environment()
	if err != nil {
		return err
	}
	p, err := role.Compile(env)
	if err != nil {
		return err
	}
	ans := answer{Role: role.Name, Op: c.Op, Over: []string{}}
	allow, err := c.judge(&ans, role, p, env)
	if err != nil {
		return err
	}
	ans.Verdict = map[bool]string{true: "allow", false: "deny"}[allow]
	if !allow && role.Permissive {
		ans.Verdict = "allow"
		ans.Why += "; but the role is permissive: this is reported and allowed"
	}
	c.warnStale(a, role)
	if c.JSON {
		return a.json(ans)
	}
	a.printAnswer(ans)
	return nil
}

func (o *output) printAnswer(ans answer) {
	color := map[string]string{"allow": green, "deny": red}[ans.Verdict]
	o.printf("%s %s\n", o.colored(color, ans.Verdict), printable(strings.TrimSpace(ans.Op+" "+ans.Object)))
	o.line("decided", printable(ans.Rule.Place+": "+ans.Rule.Text))
	o.line("why", ans.Why)
	for i, other := range ans.Over {
		o.line([]string{"over", ""}[min(i, 1)], printable(other))
	}
}

// warnStale tells where the kernel enforces something else than the files say.
func (c *explainCmd) warnStale(a *app, role *profiles.Role) {
	if os.Geteuid() != 0 {
		return
	}
	k, err := loader.Open()
	if errors.Is(err, loader.ErrNotLoaded) {
		return
	}
	if err != nil {
		a.warn("what the kernel holds cannot be compared: %v", err)
		return
	}
	defer k.Close()
	held, err := k.Held(role.ID)
	switch {
	case err != nil:
		a.warn("what the kernel holds of role %s cannot be compared: %v", role.Name, err)
	case held.Digest != loader.Digest(role):
		a.warn("the kernel holds another text of role %s than the files: jail reload", role.Name)
	}
}

// judge finds the verdict, and fills in what decided.
func (c *explainCmd) judge(ans *answer, role *profiles.Role, p *profiles.Policy, env profiles.Env) (bool, error) {
	access, isFile := fileOps[c.Op]
	flag, isFlag := flagOps[c.Op]
	switch {
	case (c.Op == "connect" || c.Op == "send") && len(c.Object) == 1 && strings.ContainsAny(c.Object[0][:min(1, len(c.Object[0]))], "/@"):
		return c.judgeUnix(ans, role, p, env)
	case slices.Contains([]string{"connect", "send", "bind", "listen"}, c.Op):
		return c.judgeNetwork(ans, role, p)
	case isFile:
		return c.judgeFile(ans, role, p, env, access)
	case c.Op == "socket":
		return c.judgeSocket(ans, role, p)
	case isFlag:
		ans.Object = strings.Join(c.Object, " ")
		f, _ := profiles.FlagByName(flag)
		ans.byFlag(role, flag, "only this flag governs it")
		return profiles.Flags(p.Flags).Has(f), nil
	}
	return false, usageError{fmt.Errorf("unknown operation %s", quoteShort(c.Op)), "jail explain --help"}
}

func (ans *answer) byFlag(role *profiles.Role, flag, why string) {
	ans.Rule = &loader.Rule{Place: role.KeyPlace(flag).String(), Text: role.FlagKey(flag), Flag: flag}
	ans.Why = why
}

// byRule fills in a rule, and the others that match.
func (ans *answer) byRule(p *profiles.Policy, number uint32, matching []uint32) {
	rule := p.Rules[number]
	ans.Rule = &loader.Rule{Place: rule.Place, Text: rule.Text, Number: number}
	for _, n := range matching {
		if n != number {
			ans.Over = append(ans.Over, p.Rules[n].Place+": "+p.Rules[n].Text)
		}
	}
	ans.Why = "the only rule that matches"
	if len(ans.Over) > 0 {
		ans.Why = "the most specific of the rules that match; a tie goes to deny"
	}
}

func (c *explainCmd) judgeNetwork(ans *answer, role *profiles.Role, p *profiles.Policy) (bool, error) {
	protocol, addr, port, err := parseEndpoint(c.Object)
	if err != nil {
		return false, usageError{fmt.Errorf("%s: %w", c.Op, err), "jail explain --help"}
	}
	if c.Op == "send" && len(c.Object) == 1 {
		protocol = profiles.UDP
	}
	direction := profiles.Connect
	if c.Op == "bind" || c.Op == "listen" {
		direction = profiles.Bind
	}
	ans.Object = protocol.String() + " " + strconv.Itoa(int(port))
	if addr.IsValid() {
		ans.Object = protocol.String() + " " + netip.AddrPortFrom(addr, port).String()
	} else {
		addr = netip.IPv4Unspecified()
	}
	allow, number := p.EvalNetwork(protocol, direction, addr, port)
	if number == 0 {
		ans.byFlag(role, "allow_network", "no rule matches, so the flag decides")
		return allow, nil
	}
	var matching []uint32
	all := role.AllRules()
	for i, n := range all.Network {
		if (n.Protocol == profiles.AnyProtocol || n.Protocol == protocol) &&
			(n.Direction == profiles.BothDirections || n.Direction == direction) &&
			n.Ports.First <= port && port <= n.Ports.Last &&
			(!n.Prefix.IsValid() || n.Prefix.Contains(addr.Unmap())) {
			matching = append(matching, uint32(len(all.Files)+i+1))
		}
	}
	ans.byRule(p, number, matching)
	return allow, nil
}

func (c *explainCmd) judgeUnix(ans *answer, role *profiles.Role, p *profiles.Policy, env profiles.Env) (bool, error) {
	name := c.Object[0]
	ans.Object = "unix " + loader.Escape(name)
	if name[0] == '/' && env.Resolve != nil {
		real, err := env.Resolve(filepath.Clean(name))
		if err != nil {
			return false, err
		}
		name = real
	}
	allow, number := p.EvalUnix(name, true)
	switch {
	case allow && number != 0:
		ans.byRule(p, number, nil)
	case allow && name == profiles.EnrollmentSocket:
		ans.byFlag(role, "allow_network", "every subject may connect to the enrollment socket, as long as root owns it")
	default:
		ans.byFlag(role, "allow_network", "no element of unix matches, so the flag decides for sockets made outside the jail")
	}
	return allow, nil
}

// parseEndpoint reads `[tcp|udp] [ADDRESS:]PORT`.
func parseEndpoint(words []string) (protocol profiles.Protocol, addr netip.Addr, port uint16, err error) {
	protocol = profiles.TCP
	if len(words) == 2 {
		switch words[0] {
		case "tcp":
		case "udp":
			protocol = profiles.UDP
		default:
			return 0, addr, 0, fmt.Errorf("unknown protocol %s (expected tcp or udp)", quoteShort(words[0]))
		}
		words = words[1:]
	}
	if len(words) != 1 {
		return 0, addr, 0, errors.New("expected [tcp|udp] [ADDRESS:]PORT")
	}
	if n, err := strconv.ParseUint(words[0], 10, 16); err == nil {
		return protocol, addr, uint16(n), nil
	}
	ap, err := netip.ParseAddrPort(words[0])
	if err != nil {
		return 0, addr, 0, fmt.Errorf("%s is no port and no ADDRESS:PORT", quoteShort(words[0]))
	}
	return protocol, ap.Addr(), ap.Port(), nil
}

func (c *explainCmd) judgeFile(ans *answer, role *profiles.Role, p *profiles.Policy, env profiles.Env, need profiles.Access) (bool, error) {
	if len(c.Object) != 1 || c.Object[0] == "" {
		return false, usageError{fmt.Errorf("%s: expected one path", c.Op), "jail explain --help"}
	}
	file, err := filepath.Abs(c.Object[0])
	if err != nil {
		return false, err
	}
	ans.Object = loader.Escape(file)
	if env.Resolve != nil {
		real, err := env.Resolve(file)
		if err != nil {
			return false, err
		}
		if real != file {
			ans.Object += " (" + loader.Escape(real) + ")"
		}
		file = real
	}
	got, number, matched := p.EvalPath(file)
	if matched && number == 0 { // the automaton does not keep which
		_, number = p.Match(file)
	}
	if number == 0 {
		flag := "allow_file_access"
		if need == profiles.Exec {
			flag = "allow_exec"
		}
		ans.byFlag(role, flag, "no rule matches, so the flag decides")
		return got&need == need, nil
	}
	var matching []uint32
	for i, f := range role.AllRules().Files {
		alone := &profiles.Role{ID: role.ID, Name: role.Name, Rules: profiles.Rules{Files: []profiles.FileRule{f}}}
		if q, err := alone.Compile(env); err == nil {
			if _, n := q.Match(file); n != 0 {
				matching = append(matching, uint32(i+1))
			}
		}
	}
	ans.byRule(p, number, matching)
	if len(ans.Over) > 0 {
		ans.Why = "it matches the deepest component of the path, then with the most literal components and the fewest wildcards; a tie goes to deny"
	}
	return got&need == need, nil
}

func (c *explainCmd) judgeSocket(ans *answer, role *profiles.Role, p *profiles.Policy) (bool, error) {
	if len(c.Object) != 1 {
		return false, usageError{errors.New("socket: expected one family or kind"), "jail explain --help"}
	}
	name := c.Object[0]
	ans.Object = name
	ans.Rule = &loader.Rule{Place: role.KeyPlace("families").String(), Text: role.FamiliesKey(), Flag: "families"}
	ans.Why = "families lists the sockets that are open beside inet, inet6, unix and netlink's route"
	if kind, ok := profiles.KindByName(name); ok {
		return p.Kinds&kind != 0, nil
	}
	family, ok := profiles.FamilyByName(name)
	if !ok {
		return false, usageError{fmt.Errorf("unknown family %s", quoteShort(name)), "jail explain --help"}
	}
	return p.Families&(1<<family) != 0, nil
}
