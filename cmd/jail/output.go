// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"jail/loader"
)

// output prints everything. stdout is data. stderr is for people: lines that begin with
// `jail: error: `, `jail: warning: ` or `jail: hint: `, without capital and full stop.
type output struct {
	stdout      *bufio.Writer
	stderr      io.Writer
	terminal    bool // stdout is one: listings get a header
	colorOut    bool
	colorErrors bool
}

// Colors, as SGR parameters.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func newOutput(stdout, stderr *os.File) *output {
	_, plain := os.LookupEnv("NO_COLOR")
	terminal := isTerminal(stdout)
	return &output{
		stdout: bufio.NewWriter(stdout), stderr: stderr, terminal: terminal,
		colorOut: terminal && !plain, colorErrors: isTerminal(stderr) && !plain,
	}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// flush writes what is left of the data; a full disk shows here.
func (o *output) flush() error {
	if err := o.stdout.Flush(); err != nil {
		return fmt.Errorf("standard output: %w", pathCause(err))
	}
	return nil
}

// printf writes data.
func (o *output) printf(format string, args ...any) {
	fmt.Fprintf(o.stdout, format, args...)
}

// json writes data as indented JSON.
func (o *output) json(v any) error {
	e := json.NewEncoder(o.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows in columns; the header is for people, so only on a terminal.
func (o *output) table(header []string, rows [][]string) {
	w := tabwriter.NewWriter(o.stdout, 0, 0, 2, ' ', 0)
	if o.terminal && len(rows) > 0 {
		fmt.Fprintln(w, strings.Join(header, "\t"))
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush() // into a buffer, whose own flush reports
}

// colored wraps text of stdout.
func (o *output) colored(color, text string) string {
	if !o.colorOut {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// warn prints a warning.
func (o *output) warn(format string, args ...any) {
	o.message(yellow, "warning", fmt.Sprintf(format, args...))
}

// fail prints an error, a line for each that it is made of, and the hint that goes with it.
func (o *output) fail(err error) {
	if err == nil || errors.Is(err, errNo) {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		o.message(red, "error", line)
	}
	if h := hint(err); h != "" {
		o.message(cyan, "hint", h)
	}
}

func (o *output) message(color, kind, text string) {
	kind += ":"
	if o.colorErrors {
		kind = "\x1b[" + color + "m" + kind + "\x1b[0m"
	}
	fmt.Fprintf(o.stderr, "jail: %s %s\n", kind, printable(text))
}

// guard turns a panic into one line and an exit status.
func (o *output) guard(args []string, f func() int) (status int) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("internal error: %v", p)
			o.message(red, "error", strings.ReplaceAll(err.Error(), "\n", "; "))
			status = exitStatus(args, err)
		}
	}()
	return f()
}

// hinted is an error that comes with the way to mend it.
type hinted struct {
	error
	hint string
}

func (e hinted) Unwrap() error { return e.error }

// withHint adds a hint to an error.
func withHint(err error, format string, args ...any) error {
	return hinted{err, fmt.Sprintf(format, args...)}
}

// hint is how to mend an error; "" where its text says so already or nobody knows.
func hint(err error) string {
	var (
		h     hinted
		usage usageError
	)
	switch {
	case errors.As(err, &h):
		return h.hint
	case errors.As(err, &usage):
		return usage.help + " tells more"
	case errors.Is(err, unix.EBADF):
		return "a descriptor to keep must be open already: jail run --keep-fd 9 ... 9<FILE"
	case errors.Is(err, unix.EMFILE):
		return "raise the limit of open descriptors: ulimit -n"
	case errors.Is(err, loader.ErrNotRoot):
		return "run it as root, with sudo for instance"
	case errors.Is(err, loader.ErrNotSupported), errors.Is(err, loader.ErrNoEnforcement):
		return "jail doctor lists everything that this machine lacks"
	case errors.Is(err, loader.ErrABI):
		return "jail upgrade lets this version take over"
	case errors.Is(err, loader.ErrBusy):
		return "jail ps lists them; jail unload --force sets them free"
	case errors.Is(err, loader.ErrJailed):
		return "do it from outside any jail"
	case errors.Is(err, loader.ErrReader):
		return "there is one reader at a time (journalctl -t jail, where it is jail-journal.service); jail why shows the latest denials"
	case errors.Is(err, loader.ErrForeign):
		return "take away what is not jail's (rm for a pin, rmdir for a directory), or give the directory to root; then: jail load"
	case errors.Is(err, loader.ErrNotWhole):
		return "jail load mends what this version loaded, jail upgrade takes over from another"
	case errors.Is(err, loader.ErrClosed):
		return "jail status tells what is missing"
	case errors.Is(err, loader.ErrNotLoaded):
		return "load it, as root: jail load"
	case errors.Is(err, os.ErrPermission) && loader.Jailed():
		return "this process is in a jail: do it from outside"
	}
	return ""
}

// pathCause leaves out of a path error what the reader sees anyway.
func pathCause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// printable escapes what would move the cursor or confuse the eye: names are chosen by
// whoever is jailed.
func printable(s string) string {
	clean := func(r rune) bool { return r != utf8.RuneError && (r == ' ' || unicode.IsPrint(r)) }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if clean(r) {
			b.WriteString(s[:size])
		} else {
			q := strconv.Quote(s[:size])
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[size:]
	}
	return b.String()
}
