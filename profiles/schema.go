package profiles

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A schema is the keys that a table may have, and what each does to the Go value.
type schema[T any] []field[T]

type field[T any] struct {
	name string
	set  func(d *decoder, e *entry, into *T)
}

type decoder struct {
	errs   *ErrorList
	source string
}

// decodeTable gives each key of a table to its field.
func decodeTable[T any](d *decoder, v *value, what string, s schema[T], into *T) {
	for _, e := range v.keys {
		f := s.find(e.name)
		if f == nil {
			d.errs.add(e.place, "unknown key %s in a %s%s", token(e.name), what, nearest(e.name, s.names()))
			continue
		}
		f.set(d, e, into)
	}
}

func (s schema[T]) find(name string) *field[T] {
	for i := range s {
		if s[i].name == name {
			return &s[i]
		}
	}
	return nil
}

func (s schema[T]) names() []string {
	names := make([]string, len(s))
	for i, f := range s {
		names[i] = f.name
	}
	return names
}

var profileKeys = schema[Profile]{
	{"roles", func(d *decoder, e *entry, p *Profile) {
		for _, e := range d.tables(e, "[roles.NAME]") {
			p.Roles = append(p.Roles, d.role(e))
		}
	}},
	{"rulesets", func(d *decoder, e *entry, p *Profile) {
		for _, e := range d.tables(e, "[rulesets.NAME]") {
			p.RuleSets = append(p.RuleSets, d.ruleSet(e))
		}
	}},
}

var roleKeys = append(schema[Role]{
	{"id", func(d *decoder, e *entry, r *Role) {
		if n, ok := d.integer(e.value, e.name); ok {
			if n < 1 || n > LastUserID {
				d.errs.add(e.value.place, "id %d is out of range: expected %d to %d",
					n, FirstUserID, LastUserID)
				return
			}
			r.ID = uint32(n)
		}
	}},
	{"mode", func(d *decoder, e *entry, r *Role) {
		r.Permissive = d.choice(e, "enforce", "permissive") == 1
	}},
	{"include", func(d *decoder, e *entry, r *Role) { r.Include = d.texts(e, nil) }},
	{"families", func(d *decoder, e *entry, r *Role) { r.Families = d.texts(e, checkFamily) }},
	{"unix", func(d *decoder, e *entry, r *Role) { r.Unix = d.texts(e, checkUnix) }},
	{"users", func(d *decoder, e *entry, r *Role) { r.Users = d.texts(e, checkAccount) }},
	{"groups", func(d *decoder, e *entry, r *Role) { r.Groups = d.texts(e, checkAccount) }},
	{"devices", func(d *decoder, e *entry, r *Role) { r.Devices = d.texts(e, CheckPattern) }},
	{"capabilities", func(d *decoder, e *entry, r *Role) { r.Capabilities = d.texts(e, checkCapability) }},
	{"dns", func(d *decoder, e *entry, r *Role) { r.DNS = d.boolean(e) }},
	{"files", func(d *decoder, e *entry, r *Role) { r.Files = d.fileRules(e, "roles", r.Name) }},
	{"network", func(d *decoder, e *entry, r *Role) { r.Network = d.networkRules(e, "roles", r.Name) }},
}, flagKeys()...)

func flagKeys() schema[Role] {
	var s schema[Role]
	for _, f := range flagNames {
		s = append(s, field[Role]{f.name, func(d *decoder, e *entry, r *Role) {
			r.Flags &^= f.flag
			if d.boolean(e) {
				r.Flags |= f.flag
			}
		}})
	}
	return s
}

var ruleSetKeys = schema[RuleSet]{
	{"unix", func(d *decoder, e *entry, s *RuleSet) { s.Unix = d.texts(e, checkUnix) }},
	{"files", func(d *decoder, e *entry, s *RuleSet) { s.Files = d.fileRules(e, "rulesets", s.Name) }},
	{"network", func(d *decoder, e *entry, s *RuleSet) { s.Network = d.networkRules(e, "rulesets", s.Name) }},
}

// fileDraft is a file rule while its keys are read.
type fileDraft struct {
	FileRule
	access, deny *entry
}

var fileKeys = schema[fileDraft]{
	{"path", func(d *decoder, e *entry, f *fileDraft) {
		f.Place = e.place
		f.Path = d.checked(e, CheckPattern)
	}},
	{"access", func(d *decoder, e *entry, f *fileDraft) {
		f.access = e
		d.checked(e, func(s string) (err error) {
			f.Access, err = ParseAccess(s)
			return err
		})
	}},
	{"deny", func(d *decoder, e *entry, f *fileDraft) {
		f.deny = e
		if e.value.kind == unstable.Bool && e.value.text == "false" {
			d.errs.add(e.value.place, "deny must be true; to allow, write access = \"r\" in its place")
			return
		}
		if e.value.kind == unstable.String {
			d.checked(e, func(s string) (err error) {
				f.Without, err = ParseAccess(s)
				return err
			})
			return
		}
		d.boolean(e)
	}},
}

// networkDraft is a network rule while its keys are read.
type networkDraft struct {
	NetworkRule
	allow bool
}

var networkKeys = schema[networkDraft]{
	{"protocol", func(d *decoder, e *entry, n *networkDraft) {
		n.Protocol = Protocol(max(0, d.choice(e, protocolNames...)))
	}},
	{"direction", func(d *decoder, e *entry, n *networkDraft) {
		n.Direction = Direction(max(0, d.choice(e, directionNames...)))
	}},
	{"port", func(d *decoder, e *entry, n *networkDraft) {
		n.Place = e.place
		n.Ports = d.ports(e)
	}},
	{"address", func(d *decoder, e *entry, n *networkDraft) {
		d.checked(e, func(s string) (err error) {
			n.Prefix, err = ParsePrefix(s)
			return err
		})
	}},
	{"allow", func(d *decoder, e *entry, n *networkDraft) {
		n.allow = true
		n.Allow = d.boolean(e)
	}},
}

func (d *decoder) role(e *entry) *Role {
	r := &Role{
		Name: e.name, Place: e.value.place, Flags: DefaultFlags, Source: d.source,
		places: make(map[string]Place),
	}
	d.name(e, "role")
	for _, key := range e.value.keys {
		r.places[key.name] = key.place
	}
	decodeTable(d, e.value, "role", roleKeys, r)
	if !r.Written("id") {
		d.errs.add(r.Place, "role %s has no id: expected id = %d or more", token(r.Name), FirstUserID)
	}
	return r
}

func (d *decoder) ruleSet(e *entry) *RuleSet {
	s := &RuleSet{Name: e.name, Place: e.value.place}
	d.name(e, "rule set")
	decodeTable(d, e.value, "rule set", ruleSetKeys, s)
	return s
}

func (d *decoder) name(e *entry, what string) {
	if err := CheckName(e.name); err != nil {
		d.errs.add(e.place, "%s %v", what, err)
	}
}

// CheckName tells whether a name may be a role's or a rule set's.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("name is empty")
	case len(name) > MaxNameLength:
		return fmt.Errorf("name %s is longer than %d bytes", token(name), MaxNameLength)
	case name[0] == '-' || name[0] == '.':
		return fmt.Errorf("name %s starts with %q", token(name), name[:1])
	}
	for i := range len(name) {
		c := name[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("._-", c) >= 0 {
			continue
		}
		return fmt.Errorf("name %s: expected letters, digits, dots, dashes and underscores", token(name))
	}
	return nil
}

func (d *decoder) fileRules(e *entry, kind, name string) []FileRule {
	var rules []FileRule
	for _, v := range d.array(e, kind, name) {
		f := fileDraft{FileRule: FileRule{Place: v.place}}
		decodeTable(d, v, "file rule", fileKeys, &f)
		switch {
		case v.find("path") == nil:
			d.errs.add(v.place, "file rule has no path")
		case f.access == nil && f.deny == nil:
			d.errs.add(f.Place, "file rule says neither access nor deny: expected access = \"r\" or deny = true")
		case f.access != nil && f.deny != nil:
			d.errs.add(f.deny.place, "file rule says both access and deny: expected one of them")
		}
		rules = append(rules, f.FileRule)
	}
	return rules
}

func (d *decoder) networkRules(e *entry, kind, name string) []NetworkRule {
	var rules []NetworkRule
	for _, v := range d.array(e, kind, name) {
		n := networkDraft{NetworkRule: NetworkRule{Place: v.place, Ports: AllPorts}}
		decodeTable(d, v, "network rule", networkKeys, &n)
		if !n.allow {
			d.errs.add(n.Place, "network rule does not say allow: expected allow = true or allow = false")
		}
		rules = append(rules, n.NetworkRule)
	}
	return rules
}

func (d *decoder) ports(e *entry) Ports {
	if e.value.kind == unstable.Integer {
		n, ok := d.integer(e.value, e.name)
		if ok && (n < 0 || n > math.MaxUint16) {
			d.errs.add(e.value.place, "port %d is out of range: expected 0 to %d", n, math.MaxUint16)
		}
		return Ports{uint16(n), uint16(n)}
	}
	if e.value.kind != unstable.String {
		d.expected(e.value, e.name, `an integer or a range "A-B"`)
		return Ports{}
	}
	p, err := parseRange(e.value.text)
	if err != nil {
		d.errs.add(e.value.place, "port: %v", err)
	}
	return p
}

func (d *decoder) expected(v *value, key, want string) {
	d.errs.add(v.place, "%s: expected %s, not %s", key, want, v.describe())
}

// tables gives the entries of a table of tables.
func (d *decoder) tables(e *entry, want string) []*entry {
	if e.value.kind != unstable.Table {
		d.expected(e.value, e.name, "tables "+want)
		return nil
	}
	var list []*entry
	for _, sub := range e.value.keys {
		if sub.value.kind != unstable.Table {
			d.expected(sub.value, token(sub.name), "a table "+want)
			continue
		}
		list = append(list, sub)
	}
	return list
}

// array gives the elements of an array of tables.
func (d *decoder) array(e *entry, kind, name string) []*value {
	want := fmt.Sprintf("an array of tables [[%s.%s.%s]]", kind, quoteKey(name), e.name)
	if e.value.kind != unstable.Array {
		d.expected(e.value, e.name, want)
		return nil
	}
	var list []*value
	for _, v := range e.value.items {
		if v.kind != unstable.Table {
			d.expected(v, e.name, want)
			continue
		}
		list = append(list, v)
	}
	return list
}

func (d *decoder) boolean(e *entry) bool {
	if e.value.kind != unstable.Bool {
		d.expected(e.value, e.name, "true or false")
	}
	return e.value.text == "true"
}

func (d *decoder) integer(v *value, key string) (int64, bool) {
	if v.kind != unstable.Integer {
		d.expected(v, key, "an integer")
		return 0, false
	}
	n, err := strconv.ParseInt(v.text, 0, 64)
	if err != nil {
		d.errs.add(v.place, "%s: integer %s is out of range", key, cut(v.text))
		return 0, false
	}
	return n, true
}

// checked gives a string that passes the check.
func (d *decoder) checked(e *entry, check func(string) error) string {
	return d.text(e.value, e.name, check).Value
}

func (d *decoder) text(v *value, key string, check func(string) error) Text {
	if v.kind != unstable.String {
		d.expected(v, key, "a string")
		return Text{}
	}
	if check != nil {
		if err := check(v.text); err != nil {
			d.errs.add(v.place, "%s: %v", key, err)
		}
	}
	return Text{Value: v.text, Place: v.place}
}

// texts gives an array of strings, each at most once.
func (d *decoder) texts(e *entry, check func(string) error) []Text {
	if e.value.kind != unstable.Array || e.value.how == repeated {
		d.expected(e.value, e.name, "an array of strings")
		return nil
	}
	var list []Text
	seen := make(map[string]bool)
	for _, v := range e.value.items {
		t := d.text(v, e.name, check)
		if v.kind == unstable.String && seen[t.Value] {
			d.errs.add(v.place, "%s: %s is listed twice", e.name, token(t.Value))
		}
		seen[t.Value] = true
		list = append(list, t)
	}
	return list
}

// choice gives the index of the string among its choices, or -1.
func (d *decoder) choice(e *entry, choices ...string) int {
	found := -1
	d.checked(e, func(s string) error {
		for i, c := range choices {
			if s == c {
				found = i
				return nil
			}
		}
		return fmt.Errorf("unknown value %s: expected %s%s",
			token(s), strings.Join(choices, ", "), nearest(s, choices))
	})
	return found
}

func checkAccount(s string) error {
	if s == "" || strings.ContainsAny(s, " \t\n\x00:/,") {
		return fmt.Errorf("%s is not the name or number of an account", token(s))
	}
	return nil
}

func checkUnix(s string) error {
	if name, ok := strings.CutPrefix(s, "@"); ok {
		return checkAbstract(name)
	}
	return CheckPattern(s)
}
