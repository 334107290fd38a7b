package firststage

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"jail/profiles"
)

// image is the memory that the kernel leaves to a new process.
func image(args, env []string, vector [][2]uintptr) unsafe.Pointer {
	words := []uintptr{uintptr(len(args))}
	var keep [][]byte
	for _, list := range [][]string{args, env} {
		for _, s := range list {
			b := append([]byte(s), 0)
			keep = append(keep, b)
			words = append(words, uintptr(unsafe.Pointer(&b[0])))
		}
		words = append(words, 0)
	}
	for _, v := range append(vector, [2]uintptr{}) {
		words = append(words, v[0], v[1])
	}
	kept = append(kept, keep...)
	return unsafe.Pointer(&words[0])
}

var kept [][]byte // what words point to

var user = [][2]uintptr{{11, 1000}, {12, 1000}, {13, 1000}, {14, 1000}, {23, 0}}

func text(p unsafe.Pointer) string {
	if p == nil {
		return "(nil)"
	}
	n := 0
	for at(p, n) != 0 {
		n++
	}
	return unsafe.String((*byte)(p), n)
}

func TestPlainRequestsAreTakenAndOthersLeftToTheRuntime(t *testing.T) {
	for line, want := range map[string]string{
		"jail run --role worker -- true":                              "worker | true",
		"jail run --role worker true --role nosuch":                   "worker | true --role nosuch",
		"x run --role isolated --pod 77 --role worker -- sh -c a":     "isolated worker 77 | sh -c a",
		"jail run --role worker - x":                                  "worker | - x",
		"jail run --role worker -- --role":                            "worker | --role",
		"jail run --role worker --":                                   "",
		"jail run --role worker":                                      "",
		"jail run -- true":                                            "",
		"jail run true x y":                                           "",
		"jail run --role mine -- true":                                "",
		"jail run --role 7 -- true":                                   "",
		"jail run --role=worker -- true":                              "",
		"jail run --role Worker -- true":                              "",
		"jail run --role worker --pod 0 -- true":                      "",
		"jail run --role worker --pod 07 -- true":                     "",
		"jail run --role worker --pod 0x7 -- true":                    "",
		"jail run --role worker --pod 1 --pod 2 -- true":              "",
		"jail run --role worker --pod 1000000000000000000 -- true":    "",
		"jail run --role worker --permissive -- true":                 "",
		"jail run --role worker --report -- true":                     "",
		"jail run --role worker -h -- true":                           "",
		"jail wrap --role worker -- true":                             "",
		"jail run" + strings.Repeat(" --role worker", 8) + " -- true": strings.Repeat("worker ", 8) + "| true",
		"jail run" + strings.Repeat(" --role worker", 9) + " -- true": "",
	} {
		var r request
		got := ""
		if r.parse(image(strings.Fields(line), []string{"A=b", "PATH=/bin", "PATH=/x"}, user)) {
			got = describe(&r)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func describe(r *request) string {
	var words []string
	for _, id := range r.roles[:r.count] {
		role, _ := profiles.Builtins().ByID(uint32(id))
		words = append(words, role.Name)
	}
	if r.pod == 77 {
		words = append(words, "77")
	}
	words = append(words, "|")
	for p := r.command; word(p, 0) != nil; p = unsafe.Add(p, 8) {
		words = append(words, text(word(p, 0)))
	}
	return strings.Join(words, " ")
}

func TestPrivilegeAndConfigurationAreLeftToTheRuntime(t *testing.T) {
	args := []string{"jail", "run", "--role", "worker", "--", "true"}
	var r request
	if !r.parse(image(args, []string{"PATH=/bin", "PATH=/x"}, user)) || r.gained || r.uid != 1000 || text(r.path) != "/bin" {
		t.Errorf("a plain caller: %+v", r)
	}
	r = request{}
	if !r.parse(image(args, nil, [][2]uintptr{{11, 0}, {12, 0}, {13, 0}, {14, 0}, {23, 0}})) || r.uid != 0 || r.path != nil {
		t.Errorf("root without PATH: %+v", r)
	}
	if r = (request{}); r.parse(image(args, []string{"JAIL_CONFIG_DIR=/tmp"}, user)) {
		t.Error("another configuration")
	}
	// by the bits, which it gives up; the kernel's own word must agree
	for _, c := range []struct {
		ids   [5]uintptr // uid, euid, gid, egid, secure
		taken bool
	}{
		{[5]uintptr{1000, 0, 1000, 1000, 1}, true},
		{[5]uintptr{1000, 1000, 1000, 7, 1}, true},
		{[5]uintptr{1000, 0, 1000, 1000, 0}, false},
		{[5]uintptr{1000, 1000, 1000, 1000, 1}, false}, // file capabilities
		{[5]uintptr{0, 1000, 0, 0, 1}, false},
		{[5]uintptr{0, 0, 0, 7, 1}, false},
	} {
		vector := slices.Clone(user)
		for i, id := range c.ids {
			vector[i][1] = id
		}
		if r = (request{}); r.parse(image(args, nil, vector)) != c.taken || c.taken && !r.gained {
			t.Errorf("%v: %+v", c.ids, r)
		}
	}
	for i := range user {
		if r = (request{}); r.parse(image(args, nil, slices.Delete(slices.Clone(user), i, i+1))) {
			t.Errorf("entry %d of the vector is missing: taken", user[i][0])
		}
	}
}

func TestBuiltinIdsAreThoseOfTheRoles(t *testing.T) {
	for _, role := range profiles.Builtins().Roles() {
		if got := builtin(unsafe.Pointer(unsafe.StringData(role.Name + "\x00"))); uint32(got) != role.ID {
			t.Errorf("%s: %d, not %d", role.Name, got, role.ID)
		}
	}
}

func TestLongPathsEndAtTheBuffer(t *testing.T) {
	for n := len(file) - 8; n <= len(file); n++ {
		got := join(n, unsafe.Pointer(unsafe.StringData("four\x00")))
		if want := n+1+4+1 <= len(file); got != want {
			t.Errorf("%d bytes before: %v", n, got)
		}
	}
}

// FuzzRequest: whatever the words are, what is taken is what a plain reading gives.
func FuzzRequest(f *testing.F) {
	f.Add("run\n--role\nworker\n--\ntrue", "PATH=/bin\nA=b")
	f.Add("run\n--pod\n77\n--role\nisolated\nsh\n-c\nx", "")
	f.Add("run\n--role\n--role\n--role", "JAIL_CONFIG_DIR=")
	f.Fuzz(func(t *testing.T, args, env string) {
		if strings.Contains(args+env, "\x00") {
			return // no word of a command line has one
		}
		words := append([]string{"jail"}, strings.Split(args, "\n")...)
		var r request
		if !r.parse(image(words, strings.Split(env, "\n"), user)) {
			return
		}
		n := len(words)
		var command []string
		for p := r.command; word(p, 0) != nil; p = unsafe.Add(p, 8) {
			command = append(command, text(word(p, 0)))
		}
		if len(command) == 0 || !slices.Equal(command, words[n-len(command):]) {
			t.Errorf("%q: command %q", words, command)
		}
		flags := words[2 : n-len(command)]
		if k := len(flags); k > 0 && flags[k-1] == "--" {
			flags = flags[:k-1]
		}
		roles := 0
		for i := 0; i < len(flags); i += 2 {
			if flags[i] == "--role" {
				role, ok := profiles.Builtins().ByName(flags[i+1])
				if !ok || uintptr(role.ID) != r.roles[roles] {
					t.Errorf("%q: role %d is %d", words, roles, r.roles[roles])
				}
				roles++
			}
		}
		if roles != r.count || len(flags)%2 != 0 {
			t.Errorf("%q: %d roles taken", words, r.count)
		}
	})
}
