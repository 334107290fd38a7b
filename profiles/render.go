package profiles

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// TOML writes the role as a profile that can be parsed: the role with every key that
// differs from its default, then what it includes. A built-in rule set is written as a
// comment, since its name is taken; another one as a table.
func (r *Role) TOML() string {
	var b strings.Builder
	name := "roles." + quoteKey(r.Name)
	fmt.Fprintf(&b, "[%s]\nid = %d\n", name, r.ID)
	if r.Permissive {
		b.WriteString("mode = \"permissive\"\n")
	}
	writeTexts(&b, "include", r.Include)
	for _, f := range flagNames {
		if on := r.Flags.Has(f.flag); on != DefaultFlags.Has(f.flag) || r.Written(f.name) {
			fmt.Fprintf(&b, "%s = %t\n", f.name, on)
		}
	}
	if r.DNS || r.Written("dns") {
		fmt.Fprintf(&b, "dns = %t\n", r.DNS)
	}
	writeTexts(&b, "families", r.Families)
	writeTexts(&b, "users", r.Users)
	writeTexts(&b, "groups", r.Groups)
	writeTexts(&b, "devices", r.Devices)
	writeTexts(&b, "capabilities", r.Capabilities)
	r.write(&b, name)
	for _, s := range r.sets {
		text := s.TOML()
		if s.Builtin {
			text = comment(fmt.Sprintf("Built in, from %s:\n\n%s", s.Place.File, text))
		}
		b.WriteString("\n" + text)
	}
	return b.String()
}

// comment puts a # before each line.
func comment(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteByte('#')
		if line != "\n" {
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String()
}

// TOML writes the rule set as a table of a profile.
func (s *RuleSet) TOML() string {
	var b strings.Builder
	name := "rulesets." + quoteKey(s.Name)
	fmt.Fprintf(&b, "[%s]\n", name)
	s.write(&b, name)
	return b.String()
}

// write writes the rules of the table that has been begun.
func (r *Rules) write(b *strings.Builder, table string) {
	writeTexts(b, "unix", r.Unix)
	for _, f := range r.Files {
		fmt.Fprintf(b, "\n[[%s.files]]\n%s\n", table, strings.Join(f.keys(), "\n"))
	}
	for _, n := range r.Network {
		fmt.Fprintf(b, "\n[[%s.network]]\n%s\n", table, strings.Join(n.keys(), "\n"))
	}
}

// String gives the rule as an inline table.
func (f FileRule) String() string { return "{ " + strings.Join(f.keys(), ", ") + " }" }

// String gives the rule as an inline table.
func (n NetworkRule) String() string { return "{ " + strings.Join(n.keys(), ", ") + " }" }

func (f FileRule) keys() []string {
	keys := []string{"path = " + quote(validUTF8(f.Path))}
	if f.Without != 0 {
		return append(keys, "deny = "+quote(f.Without.String()))
	}
	if f.Access == 0 {
		return append(keys, "deny = true")
	}
	return append(keys, "access = "+quote(f.Access.String()))
}

func (n NetworkRule) keys() []string {
	var keys []string
	if n.Protocol != AnyProtocol {
		keys = append(keys, "protocol = "+quote(n.Protocol.String()))
	}
	if n.Direction != BothDirections {
		keys = append(keys, "direction = "+quote(n.Direction.String()))
	}
	switch {
	case n.Ports == AllPorts:
	case n.Ports.First == n.Ports.Last:
		keys = append(keys, "port = "+n.Ports.String())
	default:
		keys = append(keys, "port = "+quote(n.Ports.String()))
	}
	if n.Prefix.IsValid() {
		address := n.Prefix.String()
		if n.Prefix.IsSingleIP() {
			address = n.Prefix.Addr().String()
		}
		keys = append(keys, "address = "+quote(address))
	}
	return append(keys, fmt.Sprintf("allow = %t", n.Allow))
}

func writeTexts(b *strings.Builder, key string, list []Text) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "%s = [", key)
	for i, t := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(validUTF8(t.Value)))
	}
	b.WriteString("]\n")
}

// quoteKey writes a key bare where it can be.
func quoteKey(s string) string {
	bare := s != ""
	for i := range len(s) {
		c := s[i]
		bare = bare && (c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if bare {
		return s
	}
	return quote(s)
}

// quote writes a TOML string: a literal one where only that saves escapes.
func quote(s string) string {
	control := strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
	if !control && strings.Contains(s, `\`) && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		case r == utf8.RuneError:
			b.WriteString("\uFFFD")
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
