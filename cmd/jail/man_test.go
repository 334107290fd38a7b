// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"text/template"

	"github.com/alecthomas/kong"
)

// manCommand is a command as man/jail.1.in needs it, in roff.
type manCommand struct {
	Synopsis, Help, Detail string
	Flags                  []manFlag
}

type manFlag struct{ Form, Help string }

// TestManPage compares the manual page with what the template and the commands give.
func TestManPage(t *testing.T) {
	parser, err := newParser(&cli{}, testOutput(t))
	if err != nil {
		t.Fatal(err)
	}
	var commands []manCommand
	for _, n := range parser.Model.Children {
		commands = append(commands, describeCommand(n))
	}
	page, err := template.ParseFiles("man/jail.1.in")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := page.Execute(&want, commands); err != nil {
		t.Fatal(err)
	}
	const file = "man/jail.1"
	if *update {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is out of date: go test ./cmd/jail -update", file)
	}
	for _, n := range parser.Model.Children {
		if !bytes.Contains(got, []byte("jail "+n.Name)) {
			t.Errorf("%s lacks the command %s", file, n.Name)
		}
		for _, f := range n.Flags {
			if !bytes.Contains(got, []byte(roff("--"+f.Name))) {
				t.Errorf("%s lacks the flag --%s of %s", file, f.Name, n.Name)
			}
		}
	}
}

// TestManPagesFormat has groff read the pages where it is installed.
func TestManPagesFormat(t *testing.T) {
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("no groff")
	}
	for _, file := range []string{"man/jail.1", "man/jail.toml.5"} {
		out, err := exec.Command("groff", "-man", "-ww", "-z", file).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", file, err, out)
		}
	}
}

func describeCommand(n *kong.Node) manCommand {
	c := manCommand{Synopsis: roff(synopsis(n)), Help: roff(n.Help), Detail: roffText(n.Detail)}
	for _, f := range n.Flags {
		form := "--" + f.Name
		if !f.IsBool() {
			form += "=" + f.FormatPlaceHolder()
		}
		c.Flags = append(c.Flags, manFlag{roff(form), roff(f.Help)})
	}
	return c
}

// roff escapes one line of text.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// roffText turns paragraphs and indented examples into roff.
func roffText(s string) string {
	var b strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(s), "\n\n") {
		example := strings.HasPrefix(block, "    ")
		switch {
		case example:
			b.WriteString(".PP\n.RS 4\n.EX\n")
		case i > 0:
			b.WriteString(".PP\n")
		}
		for line := range strings.Lines(block) {
			b.WriteString(roff(strings.TrimSpace(line)) + "\n")
		}
		if example {
			b.WriteString(".EE\n.RE\n")
		}
	}
	return b.String()
}
