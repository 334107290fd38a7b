package profiles

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A pattern is the parsed form of a rule's path, its variables filled in.
//
// It reads a path as its components, each preceded by '/', so that the root directory
// is the empty input and /srv/www the nine bytes as written.
type pattern struct {
	tokens    []pathToken
	literals  int // components without wildcards
	wildcards int
}

// pathToken matches a part of a path.
type pathToken struct {
	kind tokenKind
	set  byteSet // of oneByte
}

type tokenKind uint8

const (
	oneByte   tokenKind = iota // one byte of the set
	someName                   // *: any bytes within a component
	someBytes                  // ** beside other characters: any bytes
	someDirs                   // ** as a component: any number of whole components, each with its '/'
)

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(c byte)     { s[c>>6] |= 1 << (c & 63) }
func (s byteSet) has(c byte) bool { return s[c>>6]>>(c&63)&1 != 0 }

func (s byteSet) without(t byteSet) byteSet {
	return byteSet{s[0] &^ t[0], s[1] &^ t[1], s[2] &^ t[2], s[3] &^ t[3]}
}

func single(c byte) (s byteSet) {
	s.add(c)
	return s
}

var (
	slash   = single('/')
	anyByte = byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	inName  = anyByte.without(slash) // NUL is in no path, so it may be anywhere
)

// glyph is an element of a pattern's text: a byte that stands for itself, a wildcard, or
// a variable.
type glyph struct {
	kind     glyphKind
	set      byteSet // of literal (one byte) and wildOne
	byte     byte    // of literal
	variable string
}

type glyphKind uint8

const (
	literal  glyphKind = iota
	wildOne            // ? or [..]
	wildStar           // *
	wildDeep           // **
	variable           // ${NAME}
)

// lexPattern reads a pattern's text.
func lexPattern(s string) ([]glyph, error) {
	var out []glyph
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == 0:
			return nil, errors.New("path has a NUL byte")
		case c == '\\':
			b, n, err := unescape(s[i:])
			if err != nil {
				return nil, err
			}
			out = append(out, glyph{kind: literal, byte: b})
			i += n
		case c == '?':
			out = append(out, glyph{kind: wildOne, set: inName})
			i++
		case c == '[':
			set, n, err := lexClass(s[i:])
			if err != nil {
				return nil, err
			}
			out = append(out, glyph{kind: wildOne, set: set})
			i += n
		case c == '*':
			n := len(s[i:]) - len(strings.TrimLeft(s[i:], "*"))
			kind := wildStar
			if n > 1 {
				kind = wildDeep
			}
			out = append(out, glyph{kind: kind})
			i += n
		case c == '$' && strings.HasPrefix(s[i:], "${"):
			name, _, ok := strings.Cut(s[i+2:], "}")
			if !ok || !isVariable(name) {
				return nil, fmt.Errorf("expected ${NAME} at %s", token(s[i:]))
			}
			out = append(out, glyph{kind: variable, variable: name})
			i += len("${}") + len(name)
		default:
			out = append(out, glyph{kind: literal, byte: c})
			i++
		}
	}
	return out, nil
}

func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// unescape reads \xHH, or a backslash and the character that it makes literal.
func unescape(s string) (b byte, n int, err error) {
	switch {
	case len(s) < 2:
		return 0, 0, errors.New(`path ends in a lone \`)
	case s[1] == 'x' && len(s) >= 4:
		v, err := strconv.ParseUint(s[2:4], 16, 8)
		if err != nil || v == 0 || v == '/' {
			return 0, 0, fmt.Errorf(`%s is not \xHH of a byte that a file name may have`, token(s[:4]))
		}
		return byte(v), 4, nil
	case strings.IndexByte(`\*?[]$-!^`, s[1]) >= 0:
		return s[1], 2, nil
	}
	return 0, 0, fmt.Errorf(`unknown escape %s: expected \xHH, or \ before one of \*?[]$-!^`, token(s[:2]))
}

// lexClass reads [a-z], [!a-z] or [^a-z].
func lexClass(s string) (set byteSet, n int, err error) {
	i, negated := 1, false
	if i < len(s) && (s[i] == '!' || s[i] == '^') {
		negated = true
		i++
	}
	for first := true; ; first = false {
		if i >= len(s) {
			return set, 0, fmt.Errorf(`%s has no closing ]; for the character itself, write \[`, token(s))
		}
		if s[i] == ']' && !first {
			break
		}
		if strings.HasPrefix(s[i:], "[:") {
			return set, 0, fmt.Errorf("%s: named classes are not known; write the ranges, as in [a-z]", token(s))
		}
		low, n, err := classByte(s[i:])
		if err != nil {
			return set, 0, err
		}
		i += n
		high := low
		if i+1 < len(s) && s[i] == '-' && s[i+1] != ']' {
			if high, n, err = classByte(s[i+1:]); err != nil {
				return set, 0, err
			}
			i += 1 + n
		}
		if high < low {
			return set, 0, fmt.Errorf("the range in %s runs backward", token(s[:i]))
		}
		for c := int(low); c <= int(high); c++ {
			set.add(byte(c))
		}
	}
	if negated {
		set = inName.without(set)
	} else {
		set = set.without(slash)
	}
	if set == (byteSet{}) {
		return set, 0, fmt.Errorf("%s matches nothing", token(s[:i+1]))
	}
	return set, i + 1, nil
}

func classByte(s string) (b byte, n int, err error) {
	switch c := s[0]; {
	case c == '\\':
		return unescape(s)
	case c == '/' || c == 0:
		return 0, 0, errors.New("a class [..] is within a component: it cannot have / or NUL")
	case c >= utf8.RuneSelf:
		return 0, 0, errors.New(`a class [..] is of single bytes: write those beyond ASCII as \xHH`)
	default:
		return c, 1, nil
	}
}

// CheckPattern tells whether a text may be a rule's path, as far as that can be told
// while its variables are not known.
func CheckPattern(s string) error {
	glyphs, err := lexPattern(s)
	if err != nil {
		return err
	}
	switch {
	case s == "":
		return errors.New("path is empty")
	case len(s) > MaxPathLength:
		return fmt.Errorf("path is longer than %d bytes", MaxPathLength)
	case strings.HasPrefix(s, "~"):
		return fmt.Errorf("path %s is relative: for the home directory, write ${HOME}", token(s))
	case !startsAtRoot(glyphs):
		return fmt.Errorf("path %s is relative: expected it to start with /, **/ or a variable", token(s))
	}
	return checkComponents(components(glyphs), s)
}

// startsAtRoot tells whether a pattern starts with /, with a component ** or with a
// variable.
func startsAtRoot(g []glyph) bool {
	switch g[0].kind {
	case literal:
		return g[0].byte == '/'
	case wildDeep:
		return len(g) == 1 || g[1].kind == literal && g[1].byte == '/'
	}
	return g[0].kind == variable
}

// components cuts glyphs at slashes; empty components are dropped.
func components(glyphs []glyph) [][]glyph {
	var (
		parts [][]glyph
		part  []glyph
	)
	for _, g := range glyphs {
		if g.kind == literal && g.byte == '/' {
			if len(part) > 0 {
				parts = append(parts, part)
			}
			part = nil
			continue
		}
		part = append(part, g)
	}
	if len(part) > 0 {
		parts = append(parts, part)
	}
	return parts
}

func checkComponents(parts [][]glyph, s string) error {
	for _, part := range parts {
		if name, ok := literalName(part); ok && (name == "." || name == "..") {
			return fmt.Errorf("path %s has a component %q: canonical paths have none", token(s), name)
		}
	}
	return nil
}

// literalName gives the name that a component stands for, if it has no wildcards.
func literalName(part []glyph) (string, bool) {
	name := make([]byte, len(part))
	for i, g := range part {
		if g.kind != literal {
			return "", false
		}
		name[i] = g.byte
	}
	return string(name), true
}

// literalGlyphs makes glyphs of bytes that stand for themselves.
func literalGlyphs(s string) []glyph {
	glyphs := make([]glyph, len(s))
	for i := range len(s) {
		glyphs[i] = glyph{kind: literal, byte: s[i]}
	}
	return glyphs
}

// compilePattern fills in the variables, resolves the leading literal components and
// makes the tokens.
func compilePattern(s string, env *Env) (pattern, error) {
	if err := CheckPattern(s); err != nil {
		return pattern{}, err
	}
	glyphs, err := lexPattern(s)
	if err != nil {
		return pattern{}, err
	}
	if glyphs, err = substitute(glyphs, env.Vars); err != nil {
		return pattern{}, err
	}
	if len(glyphs) > MaxPathLength {
		return pattern{}, fmt.Errorf("path %s is longer than %d bytes once its variables are filled in", token(s), MaxPathLength)
	}
	if !startsAtRoot(glyphs) {
		return pattern{}, fmt.Errorf("path %s is relative once its variables are filled in", token(s))
	}
	parts := components(glyphs)
	if err := checkComponents(parts, s); err != nil {
		return pattern{}, err
	}
	if parts, err = resolvePrefix(parts, env.Resolve); err != nil {
		return pattern{}, fmt.Errorf("path %s: %w", token(s), err)
	}
	return tokenize(parts), nil
}

// substitute replaces variables by their values, in which nothing is a wildcard.
func substitute(glyphs []glyph, vars map[string]string) ([]glyph, error) {
	out := make([]glyph, 0, len(glyphs))
	for _, g := range glyphs {
		if g.kind != variable {
			out = append(out, g)
			continue
		}
		v, ok := vars[g.variable]
		switch {
		case !ok:
			return nil, fmt.Errorf("unknown variable ${%s}", g.variable)
		case v == "":
			return nil, fmt.Errorf("variable ${%s} is empty", g.variable)
		case strings.IndexByte(v, 0) >= 0:
			return nil, fmt.Errorf("variable ${%s} has a NUL byte", g.variable)
		}
		out = append(out, literalGlyphs(v)...)
	}
	return out, nil
}

// ownProcess are paths that the kernel part compares with the subject and does not look
// up: the symlink behind them is another one for every process.
var ownProcess = map[string]bool{"self": true, "thread-self": true}

// resolvePrefix replaces the leading literal components by their canonical path.
func resolvePrefix(parts [][]glyph, resolve func(string) (string, error)) ([][]glyph, error) {
	var prefix strings.Builder
	n := 0
	for ; n < len(parts); n++ {
		name, ok := literalName(parts[n])
		if !ok {
			break
		}
		if n == 1 && prefix.String() == "/proc" && ownProcess[name] {
			return parts, nil
		}
		prefix.WriteString("/" + name)
	}
	if resolve == nil || n == 0 {
		return parts, nil
	}
	resolved, err := resolve(prefix.String())
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(resolved, "/") || strings.IndexByte(resolved, 0) >= 0 {
		return nil, fmt.Errorf("resolved to %s, which is no absolute path", token(resolved))
	}
	canonical := components(literalGlyphs(resolved))
	if err := checkComponents(canonical, resolved); err != nil {
		return nil, err
	}
	return append(canonical, parts[n:]...), nil
}

// tokenize makes a pattern of components. What a rule matches it covers with all that
// is beneath, so ** at the end adds nothing and is dropped.
func tokenize(parts [][]glyph) pattern {
	var p pattern
	for n, part := range parts {
		last := n == len(parts)-1
		switch {
		case len(part) == 1 && part[0].kind == wildDeep:
			p.wildcards++
			if len(p.tokens) == 0 || p.tokens[len(p.tokens)-1].kind != someDirs {
				p.tokens = append(p.tokens, pathToken{kind: someDirs})
			}
			continue
		case last && part[len(part)-1].kind == wildDeep:
			part = append(part[:len(part)-1:len(part)-1], glyph{kind: wildStar})
		}
		p.tokens = append(p.tokens, pathToken{set: slash})
		p.component(part)
	}
	for len(p.tokens) > 0 && p.tokens[len(p.tokens)-1].kind == someDirs {
		p.tokens = p.tokens[:len(p.tokens)-1]
		p.wildcards--
	}
	return p
}

func (p *pattern) component(part []glyph) {
	if _, ok := literalName(part); ok {
		p.literals++
	}
	if len(part) == 1 && part[0].kind == wildStar {
		// A name has at least one byte.
		p.tokens = append(p.tokens, pathToken{set: inName})
	}
	for _, g := range part {
		switch g.kind {
		case literal:
			p.tokens = append(p.tokens, pathToken{set: single(g.byte)})
			continue
		case wildOne:
			p.tokens = append(p.tokens, pathToken{set: g.set})
		case wildStar:
			p.tokens = append(p.tokens, pathToken{kind: someName})
		case wildDeep:
			p.tokens = append(p.tokens, pathToken{kind: someBytes})
		}
		p.wildcards++
	}
}

// QuotePattern gives the pattern that matches a path and nothing else, whatever
// characters the path has.
func QuotePattern(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); {
		r, size := utf8.DecodeRuneInString(path[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, path[i])
		case strings.ContainsRune(`\*?[`, r), strings.HasPrefix(path[i:], "${"):
			b.WriteByte('\\')
			b.WriteByte(path[i])
		default:
			b.WriteString(path[i : i+size])
		}
		i += size
	}
	return b.String()
}

// validUTF8 writes the bytes of a pattern that are no UTF-8 as escapes.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// checkAbstract tells whether a text, the @ left out, may be the pattern of an abstract
// socket's name.
func checkAbstract(s string) error {
	if s == "" {
		return errors.New("abstract name is empty")
	}
	if len(s) > MaxPathLength {
		return fmt.Errorf("abstract name is longer than %d bytes", MaxPathLength)
	}
	_, err := lexPattern(s)
	return err
}
