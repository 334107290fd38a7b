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

// RuntimePrefixes are the leading literal components of the rule set `runtime`, as written.
func RuntimePrefixes() ([]string, error) {
	runtime, ok := Builtins().RuleSet("runtime")
	if !ok {
		return nil, errors.New("the built-in rule set runtime is missing")
	}
	var list []string
	for _, f := range runtime.Files {
		prefix, err := literalPrefix(f.Path, Env{})
		if err != nil {
			return nil, err
		}
		list = append(list, prefix)
	}
	return list, nil
}

// Canonical gives the rules with the variables in their paths filled in, and the leading
// literal components of each resolved.
func (a *AdHoc) Canonical(env Env) (*AdHoc, error) {
	c := *a
	c.Files, c.Unix = slices.Clone(a.Files), slices.Clone(a.Unix)
	var err error
	for i := range c.Files {
		if c.Files[i].Path, err = canonical(c.Files[i].Path, env); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Files[i].Place, err)
		}
	}
	for i := range c.Unix {
		if strings.HasPrefix(c.Unix[i].Value, "@") {
			continue
		}
		if c.Unix[i].Value, err = canonical(c.Unix[i].Value, env); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Unix[i].Place, err)
		}
	}
	return &c, nil
}

func canonical(pattern string, env Env) (string, error) {
	var b strings.Builder
	for rest := pattern; rest != ""; {
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "${"), "}")
		n := 1
		switch {
		case strings.HasPrefix(rest, "${") && closed:
			value, ok := env.Vars[name]
			if !ok {
				return "", fmt.Errorf("unknown variable ${%s}", name)
			}
			b.WriteString(QuotePattern(value))
			rest = after
			continue
		case rest[0] == '\\' && len(rest) > 1:
			n = 2
		}
		b.WriteString(rest[:n])
		rest = rest[n:]
	}
	parts := strings.Split(b.String(), "/")
	n, literal := 0, ""
	for ; n < len(parts); n++ {
		if parts[n] == "" {
			continue
		}
		glyphs, err := lexPattern(parts[n])
		if err != nil {
			return "", err
		}
		name, ok := literalName(glyphs)
		if !ok || literal == "/proc" && ownProcess[name] {
			break
		}
		literal += "/" + name
	}
	if env.Resolve == nil || literal == "" || parts[0] != "" {
		return b.String(), nil
	}
	resolved, err := env.Resolve(literal)
	if err != nil {
		return "", err
	}
	if n == len(parts) {
		return QuotePattern(resolved), nil
	}
	return strings.TrimSuffix(QuotePattern(resolved), "/") + "/" + strings.Join(parts[n:], "/"), nil
}

// Check tells what is wrong with rules that came from elsewhere than the options of `jail run`.
func (a *AdHoc) Check() error {
	if a.Empty() {
		return errors.New("no rules")
	}
	var places []*Place
	for i := range a.Files {
		f := &a.Files[i]
		if f.Access&^(Read|Write|Exec|Map) != 0 || f.Without != 0 || f.CommandLine {
			return fmt.Errorf("path %s: access %#x is none of an option's", token(f.Path), f.Access)
		}
		if err := CheckPattern(f.Path); err != nil {
			return err
		}
		places = append(places, &f.Place)
	}
	for i := range a.Network {
		n := &a.Network[i]
		if n.Protocol > UDP || n.Direction > Connect || n.Ports.First > n.Ports.Last || !n.Allow {
			return errors.New("a network rule is none of an option's")
		}
		if p := n.Prefix; p != (netip.Prefix{}) && (!p.IsValid() || p != p.Masked() || p.Addr().Is4In6()) {
			return fmt.Errorf("prefix %s is not masked, or not plain", p)
		}
		places = append(places, &n.Place)
	}
	for i := range a.Unix {
		if err := checkUnix(a.Unix[i].Value); err != nil {
			return err
		}
		places = append(places, &a.Unix[i].Place)
	}
	for _, p := range places {
		if !strings.HasPrefix(p.File, "command line: ") || p.Line != 0 || p.Column != 0 {
			return errors.New("a rule is of no command line")
		}
	}
	return nil
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
