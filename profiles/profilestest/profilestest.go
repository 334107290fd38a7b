// Package profilestest has file rules and paths with the access that they must give, for
// tests of whatever evaluates policies: the compiler's and the kernel part's.
//
//	for _, c := range profilestest.Cases() {
//		policy, err := c.Role().Compile(profiles.Env{})
//		for _, w := range c.Wants {
//			// evaluate w.Path, expect w.Access
//		}
//	}
//
// The cases are text, under testdata/corpus:
//
//	case NAME            begins a case
//	allow ACCESS PATTERN a rule, in the order that numbers them from 1
//	deny PATTERN
//	cli-allow ACCESS PATTERN, cli-deny PATTERN: rules of the command line
//	want ACCESS PATH     the access of PATH; - for none, ? where no rule matches
//
// Limitations: patterns and paths cannot have newlines, and what stands before the first
// space of a line is its keyword.
package profilestest

import (
	"bufio"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"jail/profiles"
)

//go:embed testdata/corpus
var corpus embed.FS

// Case is a list of rules and what they must give.
type Case struct {
	Name  string
	Rules []profiles.FileRule
	Wants []Want
}

// Want is the access of a path.
type Want struct {
	Path    string
	Access  profiles.Access
	Matched bool // a rule decides; else the role's flags do
}

// Role makes a role of the rules, all of its flags off.
func (c Case) Role() *profiles.Role {
	r := &profiles.Role{ID: profiles.FirstUserID, Name: "corpus"}
	r.Files = c.Rules
	return r
}

// Cases gives the cases of the corpus.
func Cases() []Case {
	var all []Case
	err := fs.WalkDir(corpus, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := corpus.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		cases, err := Read(name, f)
		all = append(all, cases...)
		return err
	})
	if err != nil {
		panic(err) // embedded files
	}
	return all
}

// Read reads cases; the file's name is for messages and rules' places.
func Read(file string, r io.Reader) ([]Case, error) {
	var cases []Case
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		text := scanner.Text()
		if text == "" || text[0] == '#' {
			continue
		}
		place := profiles.Place{File: file, Line: line}
		word, rest, _ := strings.Cut(text, " ")
		if word == "case" {
			cases = append(cases, Case{Name: rest})
			continue
		}
		if len(cases) == 0 {
			return nil, fmt.Errorf("%s: %q before the first case", place, word)
		}
		if err := cases[len(cases)-1].add(word, rest, place); err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
	}
	return cases, scanner.Err()
}

func (c *Case) add(word, rest string, place profiles.Place) (err error) {
	rule := profiles.FileRule{Place: place}
	word, rule.CommandLine = strings.CutPrefix(word, "cli-")
	switch word {
	case "deny":
		rule.Path = rest
	case "allow":
		letters, pattern, _ := strings.Cut(rest, " ")
		if rule.Access, err = profiles.ParseAccess(letters); err != nil {
			return err
		}
		rule.Path = pattern
	case "want":
		letters, path, _ := strings.Cut(rest, " ")
		w := Want{Path: path, Matched: letters != "?"}
		if w.Matched && letters != "-" {
			if w.Access, err = profiles.ParseAccess(letters); err != nil {
				return err
			}
		}
		c.Wants = append(c.Wants, w)
		return nil
	default:
		return fmt.Errorf("unknown keyword %q", word)
	}
	c.Rules = append(c.Rules, rule)
	return profiles.CheckPattern(rule.Path)
}
