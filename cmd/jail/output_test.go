// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"jail/loader"
)

// testOutput prints into buffers.
func testOutput(t *testing.T) *output {
	t.Helper()
	return &output{stdout: bufio.NewWriter(new(bytes.Buffer)), stderr: new(bytes.Buffer)}
}

// printed is what f prints.
func printed(t *testing.T, o *output, f func()) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	o.stdout, o.stderr = bufio.NewWriter(&out), &errs
	f()
	if err := o.flush(); err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String()
}

func TestMessagesArePrefixed(t *testing.T) {
	err := withHint(errors.New("a\nb"), "mend %s", "it")
	o := &output{}
	_, got := printed(t, o, func() { o.fail(err); o.warn("c %d", 1) })
	want := "jail: error: a\njail: error: b\njail: hint: mend it\njail: warning: c 1\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNoErrorPrintsNothing(t *testing.T) {
	o := &output{}
	_, got := printed(t, o, func() { o.fail(nil); o.fail(errNo); o.fail(errors.Join(errNo, nil)) })
	if got != "" {
		t.Errorf("printed %q", got)
	}
}

func TestColorOnlyWhereAsked(t *testing.T) {
	o := &output{colorErrors: true}
	_, got := printed(t, o, func() { o.fail(errors.New("x")) })
	if want := "jail: \x1b[31merror:\x1b[0m x\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if o := newOutput(f, f); o.colorErrors || o.colorOut || o.terminal {
		t.Error("a file is taken for a terminal")
	}
}

func TestColorOnTerminal(t *testing.T) {
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer pty.Close()
	os.Unsetenv("NO_COLOR")
	if o := newOutput(pty, pty); !o.colorErrors || !o.colorOut || !o.terminal {
		t.Error("a terminal is not taken for one")
	}
	t.Setenv("NO_COLOR", "")
	if o := newOutput(pty, pty); o.colorErrors || o.colorOut || !o.terminal {
		t.Error("NO_COLOR does not turn colors off")
	}
}

func TestPrintableEscapesControls(t *testing.T) {
	for in, want := range map[string]string{
		"nginx: worker": "nginx: worker",
		"größe":         "größe",
		"a\x1b[2Jb":     `a\x1b[2Jb`,
		"a\nb\tc":       `a\nb\tc`,
		"\xff\xfe":      `\xff\xfe`,
		"\u202egpj":     `\u202egpj`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestGuardTurnsPanicIntoOneLine(t *testing.T) {
	for command, want := range map[string]int{"run": 125, "ps": 1} {
		o := &output{}
		var status int
		_, got := printed(t, o, func() {
			status = o.guard([]string{command}, func() int { panic("boom\ngoroutine 1") })
		})
		if status != want || got != "jail: error: internal error: boom; goroutine 1\n" {
			t.Errorf("%s: status %d, printed %q", command, status, got)
		}
	}
}

func TestSubjectsAreListed(t *testing.T) {
	subjects := []loader.Subject{
		{PID: 20, TID: 21, Command: "a\x1bb", Roles: []loader.Membership{{Role: 3, Name: "webserver", Pod: 7}, {Role: 200, Pod: 8}}},
		{PID: 20, TID: 20, Command: "nginx", Roles: []loader.Membership{{Role: 3, Name: "webserver", Pod: 7}}},
	}
	o := &output{}
	got, _ := printed(t, o, func() { _ = o.printSubjects(subjects, false) })
	if want := "20  20  nginx   webserver      7\n20  21  a\\x1bb  webserver,200  8\n"; got != want {
		t.Errorf("plain: got\n%swant\n%s", got, want)
	}
	o.terminal = true
	got, _ = printed(t, o, func() { _ = o.printSubjects(subjects, false) })
	if !strings.HasPrefix(got, "PID  TID  COMMAND  ROLES          POD\n20   20") {
		t.Errorf("terminal: got\n%s", got)
	}
	got, _ = printed(t, o, func() { _ = o.printSubjects(subjects[1:], true) })
	want := `[
  {
    "pid": 20,
    "tid": 20,
    "command": "nginx",
    "roles": [
      "webserver"
    ],
    "pod": 7
  }
]
`
	if got != want {
		t.Errorf("JSON: got\n%swant\n%s", got, want)
	}
	got, _ = printed(t, o, func() { _ = o.printSubjects(nil, true) })
	if got != "[]\n" {
		t.Errorf("nothing, as JSON: got %q", got)
	}
	got, _ = printed(t, o, func() { _ = o.printSubjects(nil, false) })
	if got != "" {
		t.Errorf("nothing: got %q", got)
	}
}

func TestStatusIsPrinted(t *testing.T) {
	o := &output{}
	got, _ := printed(t, o, func() {
		o.printStatus(loader.Status{Loaded: true, Open: true, ABI: 1, Programs: []string{"a", "b"}, Missing: []string{"c"}, Roles: 7, Foreign: []string{"/d/x: unknown"}})
	})
	for _, line := range []string{"loaded: yes\n", "whole: no\n", "enrollment: open\n", "attached: 2 programs\n", "not jail's: /d/x: unknown\n", "missing: c\n", "roles: 7\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}

func TestHints(t *testing.T) {
	for _, err := range []error{
		loader.ErrNotRoot, loader.ErrNotSupported, loader.ErrNoEnforcement, loader.ErrABI,
		loader.ErrBusy, loader.ErrJailed, loader.ErrClosed, loader.ErrNotLoaded,
	} {
		if hint(fmt.Errorf("x: %w", err)) == "" {
			t.Errorf("%v: no hint", err)
		}
	}
	if got := hint(errors.New("x")); got != "" {
		t.Errorf("hint %q for an unknown error", got)
	}
}

func TestFullDiskIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	o := newOutput(full, full)
	o.printf("x")
	if err := o.flush(); err == nil || !strings.Contains(err.Error(), "standard output") {
		t.Errorf("got %v", err)
	}
}
