package profiles

import (
	"strings"
	"testing"
)

func TestQuotedPatternMatchesThatPathAlone(t *testing.T) {
	for _, path := range []string{"/a", `/a*b`, `/[x]?`, `/a\b`, "/${HOME}", "/-!^", "/new\nline", "/\xff\xfe"} {
		r := &Role{ID: 100, Name: "r", Rules: Rules{Files: []FileRule{{Path: QuotePattern(path), Access: Read}}}}
		p, err := r.Compile(Env{})
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		if a, rule := p.Match(path); a != Read || rule != 1 {
			t.Errorf("%q: access %v by rule %d", path, a, rule)
		}
		if _, rule := p.Match(path + "x"); rule != 0 {
			t.Errorf("%q: %q matches too", path, path+"x")
		}
	}
}

func TestRuleTablesCanBeParsed(t *testing.T) {
	file := FileRule{Path: QuotePattern("/srv/a*\x01\xff"), Access: Read | Write}
	net := NetworkRule{Protocol: TCP, Direction: Connect, Ports: Ports{5432, 5432}, Allow: true}
	text := "[roles.\"a b\"]\nid = 100\n" + strings.Join(file.Table("a b"), "\n") + "\n" + strings.Join(net.Table("a b"), "\n") + "\n"
	text = strings.ReplaceAll(text, `"a b"`, "ab")
	p, err := Parse("t.toml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if r := p.Roles[0]; len(r.Files) != 1 || len(r.Network) != 1 {
		t.Errorf("%+v", r)
	}
}
