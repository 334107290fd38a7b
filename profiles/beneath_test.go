package profiles_test

import (
	"math/rand/v2"
	"testing"

	"jail/profiles"
	"jail/profiles/profilestest"
)

// TestMovesNeverGain moves between random places and looks at random paths beneath.
func TestMovesNeverGain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	allowed, refused := 0, 0
	for range 300 {
		p, err := randomCase(r).Role().Compile(profiles.Env{})
		if err != nil || p.FileStates == 0 {
			continue
		}
		for range 30 {
			from, to := randomPath(r), randomPath(r)
			if from == "/" || to == "/" {
				continue
			}
			if !p.MayMove(p.Walk(p.Root, from), p.Walk(p.Root, to), true) {
				refused++
				continue
			}
			allowed++
			for range 20 {
				beneath := randomPath(r)
				if beneath == "/" {
					beneath = ""
				}
				had, _ := p.Match(from + beneath)
				has, _ := p.Match(to + beneath)
				if has&^had != 0 {
					t.Fatalf("%s to %s: %q gains %v", from, to, beneath, has&^had)
				}
			}
		}
	}
	if allowed < 100 || refused < 100 {
		t.Errorf("%d moves allowed, %d refused: too few to tell", allowed, refused)
	}
}

func TestMovesWithinOneRuleAreFree(t *testing.T) {
	role := profilestest.Case{Rules: []profiles.FileRule{
		{Path: "/srv/w", Access: profiles.Read | profiles.Write},
		{Path: "/srv/x", Access: profiles.Read | profiles.Write | profiles.Exec},
		{Path: "**/.env"},
	}}.Role()
	p, err := role.Compile(profiles.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		from, to string
		want     bool
	}{
		{"/srv/w/a", "/srv/w/b", true},
		{"/srv/w/.e", "/srv/w/b", true},
		{"/srv/w/b", "/srv/w/.e", true},
		{"/srv/x/a", "/srv/w/a", true}, // loses x
		{"/srv/w/a", "/srv/x/a", false},
		{"/srv/w/.env", "/srv/w/a", false},
		{"/etc/a", "/srv/w/a", false},
	} {
		if got := p.MayMove(p.Walk(p.Root, m.from), p.Walk(p.Root, m.to), true); got != m.want {
			t.Errorf("%s to %s: %t", m.from, m.to, got)
		}
	}
}
