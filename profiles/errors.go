package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrTooLarge is the cause when a role's rules exceed what a policy can hold.
var ErrTooLarge = errors.New("policy too large")

// Place is where something is written. Lines and columns count from 1, columns in
// bytes; line 0 means that only the file is known.
type Place struct {
	File         string
	Line, Column int
}

// String gives FILE:LINE, or FILE alone where there is no line.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Error is one mistake in a profile.
type Error struct {
	Place   Place
	Message string
	Err     error // the cause, if it is one to test for
}

// Error gives file:line:column: message.
func (e *Error) Error() string {
	switch {
	case e.Place == Place{}:
		return e.Message
	case e.Place.Column == 0:
		return e.Place.String() + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.Place, e.Place.Column, e.Message)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorList is all the mistakes that were found, in the order of their places.
type ErrorList []*Error

// Error gives one mistake a line.
func (l ErrorList) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	if len(l) >= maxErrors {
		lines = append(lines, "more mistakes are not shown")
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single mistakes.
func (l ErrorList) Unwrap() []error {
	errs := make([]error, len(l))
	for i, e := range l {
		errs[i] = e
	}
	return errs
}

// maxErrors is how many mistakes of a profile are reported.
const maxErrors = 100

func (l *ErrorList) add(at Place, format string, args ...any) {
	if len(*l) >= maxErrors {
		return
	}
	*l = append(*l, &Error{Place: at, Message: fmt.Sprintf(format, args...)})
}

// err is the list as an error: nil when it is empty.
func (l ErrorList) err() error {
	if len(l) == 0 {
		return nil
	}
	slices.SortStableFunc(l, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File),
			cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Place.Column, b.Place.Column))
	})
	return l
}

// token quotes a key or a value for a message, cut where it is long.
func token(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%.*q...", most, s)
	}
	return fmt.Sprintf("%q", s)
}

// nearest gives ` (did you mean "x"?)` for the candidate that resembles word most, or
// nothing where none does.
func nearest(word string, candidates []string) string {
	best, distance := "", 3
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(word), c); d < distance && d < len(c) {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance counts the single-byte changes from a to b, at most 3.
func editDistance(a, b string) int {
	const far = 3
	if len(a)-len(b) >= far || len(b)-len(a) >= far {
		return far
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return min(row[len(b)], far)
}
