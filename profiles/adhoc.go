package profiles

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// AdHoc is rules that options of `jail run` make, as they were given: the access of a file
// rule is what its option names (-r: r, -w: rw, -x: rx).
type AdHoc struct {
	Files   []FileRule
	Network []NetworkRule
	Unix    []Text
	NoNet   bool // no network at all
	DNS     bool // what `dns = true` opens
}

// AdHocName is the name of a role that is made of options alone.
const AdHocName = "adhoc"

// Empty tells whether there are no rules.
func (a *AdHoc) Empty() bool {
	return len(a.Files)+len(a.Network)+len(a.Unix) == 0 && !a.NoNet && !a.DNS
}

// AddTo is a private copy of a role with the rules added.
func (a *AdHoc) AddTo(r *Role) *Role {
	c := r.Clone()
	c.Builtin, c.Source = false, ""
	c.Name = r.Name[:min(len(r.Name), MaxNameLength-len("."+AdHocName))] + "." + AdHocName
	c.Files = append(c.Files, a.files()...)
	if a.NoNet {
		c.closeNetwork(noNetPlace)
		c.Network, c.DNS = nil, false
		for i, s := range c.sets {
			if len(s.Network) > 0 {
				own := *s
				own.Network = nil
				c.sets[i] = &own
			}
		}
	}
	a.openDNS(c)
	c.Network = append(c.Network, a.Network...)
	c.Unix = append(c.Unix, a.Unix...)
	return c
}

// Alone is a role of the rules alone: `permissive`, less every area that the rules mention,
// which becomes an allow-list. A deny only takes away.
func (a *AdHoc) Alone(env Env) (*Role, error) {
	permissive, ok := Builtins().ByName("permissive")
	if !ok {
		return nil, errors.New("the built-in role permissive is missing")
	}
	r := permissive.Clone()
	r.ID, r.Name, r.Place = FirstUserID, AdHocName, Place{File: "command line"}
	r.Builtin, r.Source, r.Users = false, "", nil
	files := a.files()
	allow := slices.IndexFunc(files, func(f FileRule) bool { return f.Access != 0 })
	exec := slices.IndexFunc(files, func(f FileRule) bool { return f.Access&Exec != 0 })
	if allow >= 0 {
		r.close(AllowFileAccess, "allow_file_access", files[allow].Place)
		if exec >= 0 {
			r.close(AllowExec, "allow_exec", files[exec].Place)
			r.close(AllowMemfdExec, "allow_memfd_exec", files[exec].Place)
		} else {
			// Nothing is said about exec, and a rule is complete for what it matches.
			for i := range files {
				if files[i].Access != 0 {
					files[i].Access |= Exec | Map
				}
			}
		}
		beneath, err := runtimeBeneath(files, exec < 0, env)
		if err != nil {
			return nil, err
		}
		files = append(files, beneath...)
	}
	r.Files = files
	switch {
	case a.NoNet:
		r.closeNetwork(noNetPlace)
	case len(a.Network) > 0:
		r.closeNetwork(a.Network[0].Place)
	case len(a.Unix) > 0:
		r.closeNetwork(a.Unix[0].Place)
	case a.DNS:
		r.closeNetwork(dnsPlace)
	}
	a.openDNS(r)
	r.Network, r.Unix = slices.Clone(a.Network), slices.Clone(a.Unix)
	return r, nil
}

var (
	noNetPlace = Place{File: "command line: --no-net"}
	dnsPlace   = Place{File: "command line: --dns"}
)

func (a *AdHoc) openDNS(r *Role) {
	if a.DNS {
		r.DNS, r.places["dns"] = true, dnsPlace
	}
}

// close takes a flag from the role, because of what is written at the place.
func (r *Role) close(flag Flags, key string, at Place) {
	r.Flags &^= flag
	r.places[key] = at
}

// closeNetwork closes the network: families, too, since the ports of a rule say nothing
// about packet sockets and their like.
func (r *Role) closeNetwork(at Place) {
	r.close(AllowNetwork, "allow_network", at)
	r.Families = nil
}

// files are the file rules, marked as the command line's. Several for one path are one:
// they would be a tie, which goes to deny.
func (a *AdHoc) files() []FileRule {
	var list []FileRule
	for _, f := range a.Files {
		f.CommandLine = true
		at := slices.IndexFunc(list, func(o FileRule) bool {
			return o.Path == f.Path && o.Access != 0 && f.Access != 0
		})
		if at < 0 {
			list = append(list, f)
			continue
		}
		list[at].Access |= f.Access
	}
	return list
}

// runtimeBeneath gives the rules of the rule set `runtime` as additions to the given ones.
// A rule of the set that lies beneath an option's path would otherwise narrow it: after
// -r /usr the compiler's programs in /usr/lib could not be started. exec says that
// exec is not restricted, so that libraries keep it.
func runtimeBeneath(files []FileRule, exec bool, env Env) ([]FileRule, error) {
	runtime, ok := Builtins().RuleSet("runtime")
	if !ok {
		return nil, errors.New("the built-in rule set runtime is missing")
	}
	given := &Policy{Rules: []Rule{{}}}
	for _, f := range files {
		if f.Access == 0 {
			continue
		}
		if err := given.addRules(Rules{Files: []FileRule{f}}, &env); err != nil {
			return nil, err
		}
	}
	list := slices.Clone(runtime.Files)
	for i := range list {
		f := &list[i]
		f.CommandLine = true // so that --deny beats them, too
		if exec && f.Access&Map != 0 {
			f.Access |= Exec
		}
		at, err := literalPrefix(f.Path, env)
		if err != nil {
			return nil, err
		}
		if access, rule := given.Match(at); rule != 0 {
			f.Access |= access
		}
	}
	return list, nil
}

// literalPrefix gives the canonical path of the leading literal components of a pattern.
func literalPrefix(path string, env Env) (string, error) {
	glyphs, err := lexPattern(path)
	if err != nil {
		return "", err
	}
	parts := components(glyphs)
	n := slices.IndexFunc(parts, func(part []glyph) bool { _, ok := literalName(part); return !ok })
	if n < 0 {
		n = len(parts)
	}
	if parts, err = resolvePrefix(parts[:n], env.Resolve); err != nil {
		return "", fmt.Errorf("path %s: %w", token(path), err)
	}
	var b strings.Builder
	for _, part := range parts {
		name, _ := literalName(part)
		b.WriteString("/" + name)
	}
	if b.Len() == 0 {
		return "/", nil
	}
	return b.String(), nil
}

// ParseTarget reads [ADDR:]PORT[/udp], as --connect and --bind have it: the address may be
// a CIDR, IPv6 is in brackets, the port may be a range A-B. resolve looks host names up; nil
// refuses them.
func ParseTarget(s string, direction Direction, resolve func(host string) ([]netip.Addr, error)) ([]NetworkRule, error) {
	rule := NetworkRule{Protocol: TCP, Direction: direction, Allow: true}
	host, port := "", s
	if at := strings.LastIndexByte(s, ':'); at >= 0 {
		host, port = s[:at], s[at+1:]
		if host == "" {
			return nil, fmt.Errorf("%s has no address before the colon: for every address, write the port alone", token(s))
		}
	}
	if before, protocol, ok := strings.Cut(port, "/"); ok {
		port = before
		switch protocol {
		case "tcp":
		case "udp":
			rule.Protocol = UDP
		default:
			return nil, fmt.Errorf("unknown protocol %s in %s: expected udp, or tcp", token(protocol), token(s))
		}
	}
	if strings.HasSuffix(port, "]") {
		return nil, fmt.Errorf("%s has no port: expected [ADDR]:PORT", token(s))
	}
	var err error
	if rule.Ports, err = ParsePorts(port); err != nil {
		return nil, err
	}
	if direction == Connect && rule.Ports.First == 0 {
		return nil, errors.New("port 0 cannot be connected to: expected 1 to 65535")
	}
	if host == "" {
		return []NetworkRule{rule}, nil
	}
	if address, length, ok := cutBrackets(host); ok {
		host = address + length
	} else if strings.Contains(host, ":") {
		return nil, fmt.Errorf("%s: an IPv6 address is written in brackets: [%s]:%s", token(s), host, port)
	}
	rule.Prefix, err = ParsePrefix(host)
	if err == nil {
		return []NetworkRule{rule}, nil
	}
	if resolve == nil || strings.ContainsAny(host, ":/%") {
		return nil, err
	}
	addrs, err := resolve(host)
	if err != nil {
		return nil, err
	}
	var rules []NetworkRule
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		rule.Prefix = netip.PrefixFrom(a, a.BitLen())
		rules = append(rules, rule)
	}
	return rules, nil
}

// cutBrackets takes [ADDR] or [ADDR]/LEN apart.
func cutBrackets(s string) (address, length string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", "", false
	}
	address, length, ok = strings.Cut(s[1:], "]")
	return address, length, ok && strings.Contains(address, ":")
}

// IsPattern tells whether a text has wildcards, variables or escapes.
func IsPattern(s string) bool {
	return strings.ContainsAny(s, `*?[\`) || strings.Contains(s, "${")
}

// CheckUnix tells whether a text may be an entry of `unix`.
func CheckUnix(s string) error { return checkUnix(s) }
