package launcher

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// pieces is a stream that comes in the given pieces.
type pieces []string

func (p *pieces) Read(buf []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(buf, (*p)[0])
	if (*p)[0] = (*p)[0][n:]; (*p)[0] == "" {
		*p = (*p)[1:]
	}
	return n, nil
}

func TestRequestsAreCutFromAnyPieces(t *testing.T) {
	for name, c := range map[string]struct {
		in   pieces
		want []string
	}{
		"one line":          {pieces{"{\"a\":1}\n"}, []string{`{"a":1}`}},
		"two in one piece":  {pieces{"{\"a\":1}\n{\"b\":2}\n"}, []string{`{"a":1}`, `{"b":2}`}},
		"one in pieces":     {pieces{"{\"a", "\":1", "}", "\n"}, []string{`{"a":1}`}},
		"no line end":       {pieces{`{"a":1}`}, []string{`{"a":1}`}},
		"end of the stream": {pieces{`{"a":1`}, []string{`{"a":1`}},
		"blank lines":       {pieces{"\n\r\n \n{\"a\":1}\r\n"}, []string{`{"a":1}`}},
	} {
		r := lineReader{conn: &c.in}
		var got []string
		for {
			line, err := r.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
			got = append(got, string(line))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	long := pieces{strings.Repeat("x", maxRequest+1)}
	if _, err := (&lineReader{conn: &long}).next(); !errors.Is(err, errTooLong) {
		t.Errorf("too long: %v", err)
	}
}

func TestRequestsAreStrict(t *testing.T) {
	if _, r, err := parseRequest([]byte(`{"Enroll":{"pod_id":18446744073709551615,"role_id":5}}`)); err != nil || r.Enroll.Pod != 1<<64-1 || *r.Enroll.Role != 5 {
		t.Errorf("%+v %v", r, err)
	}
	for _, line := range []string{
		"", "7", "null", "[]", `"Enroll"`, "{}", `{"Enroll":null}`, `{"Nosuch":{}}`, `{"Enroll":{"role_id":5,"x":1}}`,
		`{"Enroll":{"role_id":5},"Query":{"pid":1}}`, `{"Enroll":{"role_id":4294967296}}`, `{"Query":{"pid":"1"}}`,
	} {
		if _, r, err := parseRequest([]byte(line)); err == nil {
			t.Errorf("%s: taken as %+v", line, r)
		}
	}
}
