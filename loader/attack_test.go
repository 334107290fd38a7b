package loader

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

//go:embed testdata/attacks
var attackFiles embed.FS

// attack is one row: what its file's header says.
type attack struct {
	name, id    string
	role        string
	args        []string
	control     []string // arguments of the allowed control; nil: args
	controlRole string   // role of the allowed control; empty: role
	expect      unix.Errno
	as          []string
	tree        bool   // it needs the tree of files
	descriptor  string // a file that it has open as descriptor 3, whatever the jail
	killed      bool   // in earnest it may also end by SIGKILL
}

func readAttacks(t *testing.T) []attack {
	t.Helper()
	entries, err := attackFiles.ReadDir("testdata/attacks")
	if err != nil {
		t.Fatal(err)
	}
	var list []attack
	for _, e := range entries {
		name, isC := strings.CutSuffix(e.Name(), ".c")
		if !isC || name == "main" || name == "PROBE" || name == "probe" {
			continue
		}
		data, err := attackFiles.ReadFile(path.Join("testdata/attacks", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		a, err := parseAttack(name, string(data))
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		list = append(list, a)
	}
	return list
}

func parseAttack(name, text string) (attack, error) {
	a := attack{name: name, as: []string{"root", "user"}}
	head, _, _ := strings.Cut(text, "*/")
	for line := range strings.Lines(head) {
		key, value, found := strings.Cut(strings.TrimLeft(strings.TrimSpace(line), "/* "), ": ")
		if !found {
			continue
		}
		switch key {
		case "id":
			a.id = value
		case "role":
			a.role = value
		case "args":
			a.args = strings.Fields(value)
		case "control":
			a.control = strings.Fields(value)
		case "control-role":
			a.controlRole = value
		case "tree":
			a.tree = value == "yes"
		case "descriptor":
			a.descriptor = value
		case "killed":
			a.killed = value == "yes"
		case "as":
			a.as = strings.Split(value, ",")
		case "expect":
			errnos := map[string]unix.Errno{"0": 0, "EACCES": unix.EACCES, "EPERM": unix.EPERM}
			errno, known := errnos[value]
			if !known {
				return a, fmt.Errorf("expect %q is not one of 0, EACCES, EPERM", value)
			}
			a.expect = errno
		}
	}
	if a.id == "" || a.role == "" {
		return a, errors.New("the header needs id and role")
	}
	if a.expect != 0 && a.control == nil && a.controlRole == "" {
		return a, errors.New("a denial needs a control: an allowed object, or a role that allows it")
	}
	return a, nil
}

func TestEveryAttackHasAWholeHeader(t *testing.T) {
	if len(readAttacks(t)) == 0 {
		t.Error("no attack was found")
	}
}
