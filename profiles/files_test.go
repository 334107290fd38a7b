package profiles_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"jail/profiles"
	"jail/profiles/profilestest"
)

func TestCorpusHolds(t *testing.T) {
	for _, c := range profilestest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			p, err := c.Role().Compile(profiles.Env{})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.Wants {
				access, rule := p.Match(w.Path)
				if access != w.Access || (rule != 0) != w.Matched {
					t.Errorf("%s: definition gives %s by rule %d, want %s (matched %t)",
						w.Path, access, rule, w.Access, w.Matched)
				}
				sameVerdict(t, p, w.Path)
			}
		})
	}
}

// sameVerdict compares the tables with the definition.
func sameVerdict(t *testing.T, p *profiles.Policy, path string) {
	t.Helper()
	access, rule := p.Match(path)
	got, decider, matched := p.EvalPath(path)
	if got != access || matched != (rule != 0) || decider != rule {
		t.Errorf("%s: tables give %s by rule %d (matched %t), definition %s by rule %d",
			path, got, decider, matched, access, rule)
	}
}

// alphabet is small, so that patterns and paths meet.
const alphabet = "ab.c"

// randomPattern makes a pattern of a few short components.
func randomPattern(r *rand.Rand) string {
	parts := []string{"a", "b", "ab", "?", "*", "**", "[ab]", "[!a]", ".", "c", "a", "b"}
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteByte('/')
		for range 1 + r.IntN(3)*r.IntN(2) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
	}
	if r.IntN(8) == 0 {
		b.WriteString("/**")
	}
	return b.String()
}

func randomPath(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteByte('/')
		for range 1 + r.IntN(2)*r.IntN(3) {
			b.WriteByte(alphabet[r.IntN(len(alphabet))])
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

func randomCase(r *rand.Rand) profilestest.Case {
	var c profilestest.Case
	for range 1 + r.IntN(7) {
		c.Rules = append(c.Rules, profiles.FileRule{
			Path:        randomPattern(r),
			Access:      []profiles.Access{0, profiles.Read, profiles.Read | profiles.Write, profiles.Exec | profiles.Map}[r.IntN(4)],
			CommandLine: r.IntN(3) == 0,
		})
	}
	for range 40 {
		c.Wants = append(c.Wants, profilestest.Want{Path: randomPath(r)})
	}
	return c
}

func TestTablesAgreeWithDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		c := randomCase(r)
		p, err := c.Role().Compile(profiles.Env{})
		if err != nil {
			continue // a component of dots
		}
		for _, w := range c.Wants {
			sameVerdict(t, p, w.Path)
		}
		if t.Failed() {
			for _, rule := range c.Rules {
				t.Logf("%s command line %t", rule, rule.CommandLine)
			}
			return
		}
	}
}

func TestStartStatesJoinMountPoints(t *testing.T) {
	env := profiles.Env{
		Mounts: []profiles.Mount{
			{Device: 1, Root: "/", Point: "/"},
			{Device: 2, Root: "/", Point: "/a"},
			{Device: 3, Root: "/@", Point: "/"},
			{Device: 3, Root: "/@ab", Point: "/a/b"},
			{Device: 3, Root: "/@ab/a", Point: "/c"},
			{Device: 3, Root: "/@ab", Point: "/b"},
			{Device: 4, Root: "/x/y", Point: "/b/a"},
			{Device: 5, Root: "net:[1]", Point: "/run/net"},
		},
		Magic:       profiles.DefaultMagic(),
		CharDevices: profiles.DefaultCharDevices(),
	}
	// Where the path inside a filesystem ends up; "" for nowhere.
	canonical := func(device uint32, inside string) string {
		joined := func(root, point string) (string, bool) {
			rest, ok := strings.CutPrefix(inside, strings.TrimSuffix(root, "/"))
			if !ok || rest != "" && rest[0] != '/' {
				return "", false
			}
			return strings.TrimSuffix(point, "/") + rest, true
		}
		for _, m := range env.Mounts {
			if m.Device == device {
				if path, ok := joined(m.Root, m.Point); ok && m.Point != "/c" && m.Point != "/b" {
					return path + "/"
				}
			}
		}
		return ""
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		c := randomCase(r)
		c.Rules = append(c.Rules, profiles.FileRule{Path: "/proc/self", Access: profiles.Read})
		p, err := c.Role().Compile(env)
		if err != nil {
			continue
		}
		starts := make(map[string]uint32)
		for _, s := range p.Starts {
			if s.Kind >= profiles.StartUnix {
				continue
			}
			key := fmt.Sprint(s.Kind, s.Value)
			if _, twice := starts[key]; twice {
				t.Fatalf("two starts for kind %d value %#x", s.Kind, s.Value)
			}
			starts[key] = s.State
		}
		if len(starts) != 4+len(env.Magic)+len(env.CharDevices) {
			t.Fatalf("got %d starts", len(starts))
		}
		for _, w := range c.Wants {
			for device := uint32(1); device <= 4; device++ {
				for _, under := range []string{"", "/@", "/@ab", "/@a", "/@abc", "/x", "/x/y"} {
					inside := under + strings.TrimSuffix(w.Path, "/")
					state := p.Walk(starts[fmt.Sprint(profiles.StartDevice, device)], inside)
					got, rule, matched := p.Accept(state)
					path := canonical(device, inside)
					if path == "" {
						if got != 0 || matched {
							t.Errorf("device %d: %s is nowhere, but gives %s", device, inside, got)
						}
						continue
					}
					want, decider := p.Match(path)
					if got != want || rule != decider {
						t.Errorf("device %d: %s gives %s by rule %d, but %s gives %s by rule %d",
							device, inside, got, rule, path, want, decider)
					}
				}
			}
		}
		own, _, _ := p.Accept(p.Walk(starts[fmt.Sprint(profiles.StartMagic, 0x9fa0)], "/self/maps"))
		if want, _ := p.Match("/proc/self/maps"); own != want {
			t.Errorf("/proc/self/maps gives %s from proc's start, want %s", own, want)
		}
		null, _, _ := p.Accept(starts[fmt.Sprint(profiles.StartCharDevice, 1<<20|3)])
		if want, _ := p.Match("/dev/null"); null != want {
			t.Errorf("/dev/null gives %s by its number, want %s", null, want)
		}
	}
}

// FuzzFiles compares the tables with the definition; its input is a corpus file.
func FuzzFiles(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 {
			return
		}
		cases, err := profilestest.Read("fuzz", strings.NewReader(text))
		if err != nil {
			return
		}
		for _, c := range cases {
			if len(c.Rules) > 8 {
				return
			}
			p, err := c.Role().Compile(profiles.Env{})
			if err != nil {
				continue
			}
			for _, w := range c.Wants {
				if strings.HasPrefix(w.Path, "/") && !strings.Contains(w.Path, "//") && !strings.Contains(w.Path, "\x00") {
					sameVerdict(t, p, strings.TrimSuffix(w.Path, "/"))
				}
			}
		}
	})
}

func BenchmarkCompileThousandRules(b *testing.B) {
	c := profilestest.Case{}
	for i := range 1000 {
		c.Rules = append(c.Rules, profiles.FileRule{Path: fmt.Sprintf("/srv/app/tenant-%d/public", i), Access: profiles.Read})
	}
	for b.Loop() {
		if _, err := c.Role().Compile(profiles.Env{}); err != nil {
			b.Fatal(err)
		}
	}
}
