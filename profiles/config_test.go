package profiles

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const exampleConfig = `[[enroll]]
exec = "/usr/sbin/nginx"
role = "webserver"

[[enroll]]
cgroup = "/system.slice/web.service"
role = "worker"
pod = 7
`

func TestConfigParses(t *testing.T) {
	c, err := ParseConfig("jail.toml", []byte(exampleConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := []Enrollment{
		{Exec: "/usr/sbin/nginx", Role: "webserver", Place: Place{"jail.toml", 1, 3}},
		{Cgroup: "/system.slice/web.service", Role: "worker", Pod: 7, Place: Place{"jail.toml", 1, 3}},
	}
	for i := range want {
		want[i].Place = c.Enroll[i].Place
	}
	if diff := cmp.Diff(want, c.Enroll); diff != "" {
		t.Error(diff)
	}
}

func TestConfigMistakesAreRefusedWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"enrol = 1", `jail.toml:1:1: unknown key "enrol" in a configuration (did you mean "enroll"?)`},
		{"[enroll]\nexec = \"/x\"", "jail.toml:1:2: enroll: expected an array of tables [[enroll]]"},
		{"[[enroll]]\nrole = \"a\"", "has neither exec nor cgroup"},
		{"[[enroll]]\nexec = \"/x\"", "[[enroll]] has no role"},
		{"[[enroll]]\nexec = \"/x\"\ncgroup = \"/y\"\nrole = \"a\"", "jail.toml:3:1: [[enroll]] has both exec and cgroup"},
		{"[[enroll]]\nexec = \"x\"\nrole = \"a\"", `jail.toml:2:8: exec: "x" is not the absolute`},
		{"[[enroll]]\nexec = \"/a/../x\"\nrole = \"a\"", "jail.toml:2:8: exec: "},
		{"[[enroll]]\ncgroup = \"/\"\nrole = \"a\"", "has process 1 in it"},
		{"[[enroll]]\ncgroup = \"/sys/fs/cgroup/a\"\nrole = \"a\"", `expected the path below the mount: "/a"`},
		{"[[enroll]]\nexec = \"/x\"\nrole = 3", "jail.toml:3:8: role: expected a string"},
		{"[[enroll]]\nexec = \"/x\"\nrole = \"a\"\npod = -1", "jail.toml:4:7: pod -1 is out of range"},
		{"[[enroll]]\nexec = \"/x\"\nRole = \"a\"", `unknown key "Role"`},
	} {
		_, err := ParseConfig("jail.toml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

// FuzzParseConfig: no text makes the parser panic, and what it takes is what the kernel part can hold.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(exampleConfig))
	f.Add([]byte("enroll = [{exec = '/x', role = 'a'}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig("jail.toml", data)
		if err != nil {
			return
		}
		for _, e := range c.Enroll {
			if (e.Exec == "") == (e.Cgroup == "") || e.Role == "" || len(e.Cgroup) > MaxCgroupLength {
				t.Errorf("%+v", e)
			}
			if e.Exec != "" {
				if _, err := compilePattern(QuotePattern(e.Exec), &Env{}); err != nil {
					t.Errorf("%q: %v", e.Exec, err)
				}
			}
		}
	})
}
