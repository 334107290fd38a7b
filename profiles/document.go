package profiles

import (
	"errors"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A value of a TOML document, with its place. The tree is built from go-toml's parser
// and not by its decoder, which matches keys without regard to case, lets such a key
// overwrite another, and keeps no positions.
type value struct {
	kind  unstable.Kind // Table, Array, String, Integer, Bool, or one that no key takes
	place Place
	text  string            // of a string, decoded; of any other scalar, as written
	keys  []*entry          // of a table, in order
	items []*value          // of an array
	index map[string]*entry // keys by their lower-case form

	how tableKind // what else may be added to a table or an array
}

// entry is a key and its value in a table.
type entry struct {
	name  string
	place Place
	value *value
}

type tableKind uint8

const (
	closed   tableKind = iota // written as a value: complete
	implied                   // the parent of a header's table
	dotted                    // the parent in a dotted key
	headed                    // [header]
	repeated                  // array of [[header]]
)

// document builds the tree of one file.
type document struct {
	file   string
	data   []byte
	lines  []int // offset of each line
	parser unstable.Parser
	errs   *ErrorList
}

// readDocument gives the root table, or nil where the text is not TOML.
func readDocument(file string, data []byte, errs *ErrorList) *value {
	d := &document{file: file, data: data, lines: []int{0}, errs: errs}
	for i, c := range data {
		if c == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	if at := invalidUTF8(data); at >= 0 {
		errs.add(d.at(at), "invalid UTF-8")
		return nil
	}
	root := &value{kind: unstable.Table, place: Place{File: file, Line: 1, Column: 1}, how: headed}
	table := root
	d.parser.Reset(data)
	for d.parser.NextExpression() {
		switch n := d.parser.Expression(); n.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = d.header(root, n)
		case unstable.KeyValue:
			d.keyValue(table, n)
		}
	}
	var syntax *unstable.ParserError
	if err := d.parser.Error(); errors.As(err, &syntax) {
		errs.add(d.at(int(d.parser.Range(syntax.Highlight).Offset)), "%s", syntax.Message)
		return nil
	} else if err != nil {
		errs.add(Place{File: file}, "%v", err)
		return nil
	}
	return root
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func (d *document) at(offset int) Place {
	line := sort.SearchInts(d.lines, offset+1)
	return Place{File: d.file, Line: line, Column: offset - d.lines[line-1] + 1}
}

// path gives the parts of a table's or a value's key.
func (d *document) path(it unstable.Iterator) []*entry {
	var path []*entry
	for it.Next() {
		n := it.Node()
		path = append(path, &entry{name: string(n.Data), place: d.at(int(n.Raw.Offset))})
	}
	return path
}

// header gives the table that the lines below [a.b] or [[a.b]] are about. Where that
// is a mistake, it gives a table that is in no document.
func (d *document) header(root *value, n *unstable.Node) *value {
	path := d.path(n.Key())
	stray := &value{kind: unstable.Table, how: headed}
	last := path[len(path)-1]
	table := root
	for _, part := range path[:len(path)-1] {
		e := table.find(part.name)
		if e == nil {
			e = d.insert(table, part, &value{kind: unstable.Table, place: part.place, how: implied})
			if e == nil {
				return stray
			}
		}
		table = e.value
		if table.how == repeated {
			table = table.items[len(table.items)-1]
		}
		if table.kind != unstable.Table || table.how == closed {
			d.errs.add(part.place, "key %s is a value already, at %s", token(part.name), e.place)
			return stray
		}
	}
	e := table.find(last.name)
	switch fresh := (&value{kind: unstable.Table, place: last.place, how: headed}); {
	case n.Kind == unstable.ArrayTable && e == nil:
		list := &value{kind: unstable.Array, place: last.place, how: repeated, items: []*value{fresh}}
		if d.insert(table, last, list) == nil {
			return stray
		}
		return fresh
	case n.Kind == unstable.ArrayTable && e.value.how == repeated:
		e.value.items = append(e.value.items, fresh)
		return fresh
	case n.Kind == unstable.Table && e == nil:
		if d.insert(table, last, fresh) == nil {
			return stray
		}
		return fresh
	case n.Kind == unstable.Table && e.value.how == implied:
		e.value.how = headed
		e.value.place, e.place = last.place, last.place
		return e.value
	}
	d.errs.add(last.place, "key %s is already defined at %s", token(last.name), e.place)
	return stray
}

func (d *document) keyValue(table *value, n *unstable.Node) {
	path := d.path(n.Key())
	for _, part := range path[:len(path)-1] {
		e := table.find(part.name)
		if e == nil {
			e = d.insert(table, part, &value{kind: unstable.Table, place: part.place, how: dotted})
			if e == nil {
				return
			}
		} else if e.value.how != dotted {
			d.errs.add(part.place, "key %s is already defined at %s", token(part.name), e.place)
			return
		}
		table = e.value
	}
	last := path[len(path)-1]
	d.insert(table, last, d.value(n.Value(), last.place))
}

// value converts what stands right of a key.
func (d *document) value(n *unstable.Node, at Place) *value {
	v := &value{kind: n.Kind, place: at, text: string(n.Data)}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, d.value(it.Node(), at))
		}
	case unstable.InlineTable:
		v.kind = unstable.Table
		v.place = d.at(int(n.Raw.Offset))
		for it := n.Children(); it.Next(); {
			d.keyValue(v, it.Node())
		}
	default:
		v.place = d.at(int(n.Raw.Offset))
	}
	return v
}

// insert adds a key to a table, or reports why it cannot and gives nil.
func (d *document) insert(table *value, e *entry, v *value) *entry {
	folded := strings.ToLower(e.name)
	switch other := table.index[folded]; {
	case other == nil:
	case other.name == e.name:
		d.errs.add(e.place, "key %s is already defined at %s", token(e.name), other.place)
		return nil
	default:
		d.errs.add(e.place, "key %s differs only in case from %s at %s",
			token(e.name), token(other.name), other.place)
		return nil
	}
	if table.index == nil {
		table.index = make(map[string]*entry)
	}
	e.value = v
	table.index[folded] = e
	table.keys = append(table.keys, e)
	return e
}

func (v *value) find(name string) *entry {
	if e := v.index[strings.ToLower(name)]; e != nil && e.name == name {
		return e
	}
	return nil
}

// describe says what a value is, for a message about what was expected instead.
func (v *value) describe() string {
	switch v.kind {
	case unstable.Table:
		return "a table"
	case unstable.Array:
		if v.how == repeated {
			return "an array of tables"
		}
		return "an array"
	case unstable.String:
		return "the string " + token(v.text)
	case unstable.Integer:
		return "the integer " + cut(v.text)
	case unstable.Bool:
		return v.text
	case unstable.Float:
		return "the number " + cut(v.text)
	}
	return "the date " + cut(v.text)
}

// cut shortens a scalar that is printed as written.
func cut(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
