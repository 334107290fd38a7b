// SPDX-License-Identifier: MIT

package main

import (
	"testing"

	"jail/profiles"
)

func TestSourceIsTheRolesOwnText(t *testing.T) {
	const file = `# about the file

# about a
[roles.a]
id = 101
include = [
	"mine", # [roles.b] in a comment
]

# about b
[roles.b]
id = 102

[[roles.a.files]]
path = "/x"
access = "r"

[rulesets.mine]
unix = ["/y"]
`
	for name, want := range map[string]string{
		"a": `# about a
[roles.a]
id = 101
include = [
	"mine", # [roles.b] in a comment
]

[[roles.a.files]]
path = "/x"
access = "r"

`,
		"b": `# about b
[roles.b]
id = 102

`,
		"inline": file,
	} {
		if got := source(&profiles.Role{Name: name, Source: file}); got != want {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

func TestSourceOfAFileOfItsOwn(t *testing.T) {
	const file = "# license\n\n[roles.\"a\"] # x\nid = 101\n[[roles.a.network]]\nport = 1\nallow = true\n"
	if got := source(&profiles.Role{Name: "a", Source: file}); got != file {
		t.Errorf("got\n%s", got)
	}
}

func TestDescribe(t *testing.T) {
	set := profiles.Builtins()
	for name, want := range map[string][3]string{
		"restricted":  {"blocked (rules)", "blocked", "blocked"},
		"permissive":  {"allowed", "allowed", "allowed"},
		"webserver":   {"allowed", "ports 80,443,8080", "blocked"},
		"database":    {"allowed", "ports 5432,6379", "blocked"},
		"isolated":    {"allowed", "blocked", "blocked"},
		"web_with_db": {"allowed", "ports 80,443,3306,5432,6379", "blocked"},
		"worker":      {"allowed", "ports 443,5432,5672,6379", "allowed"},
	} {
		r, ok := set.ByName(name)
		if !ok {
			t.Fatalf("no role %s", name)
		}
		l := describe(r)
		if got := [3]string{l.Files, l.Network, l.Exec}; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
