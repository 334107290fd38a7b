package profiles

import (
	"fmt"
	"math"
	"path"
	"strings"
)

// Config is what jail.toml says.
type Config struct {
	Enroll []Enrollment
}

// Enrollment is one [[enroll]]: what an executable or a control group leads into.
type Enrollment struct {
	Exec   string // absolute path of a program or a directory; or
	Cgroup string // path of a control group below the cgroup2 mount
	Role   string // its name
	Pod    uint64 // 0: each enrollment makes one up
	Place  Place  // of the header
}

// MaxCgroupLength is how many bytes the path of a control group may have.
const MaxCgroupLength = 255

// ParseConfig reads jail.toml. The file's name is used in messages and places only; with
// any mistake the error, an ErrorList, has them all.
func ParseConfig(file string, data []byte) (*Config, error) {
	var errs ErrorList
	c := &Config{}
	if len(data) > MaxFileSize {
		errs.add(Place{File: file}, "larger than %d bytes", MaxFileSize)
	} else if root := readDocument(file, data, &errs); root != nil {
		d := decoder{errs: &errs, source: string(data)}
		decodeTable(&d, root, "configuration", configKeys, c)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return c, nil
}

var configKeys = schema[Config]{
	{"enroll", func(d *decoder, e *entry, c *Config) {
		for _, v := range d.tablesOf(e, "[[enroll]]") {
			c.Enroll = append(c.Enroll, d.enrollment(v))
		}
	}},
}

var enrollKeys = schema[Enrollment]{
	{"exec", func(d *decoder, e *entry, n *Enrollment) { n.Exec = d.checked(e, checkExecPath) }},
	{"cgroup", func(d *decoder, e *entry, n *Enrollment) { n.Cgroup = d.checked(e, checkCgroup) }},
	{"role", func(d *decoder, e *entry, n *Enrollment) { n.Role = d.checked(e, CheckName) }},
	{"pod", func(d *decoder, e *entry, n *Enrollment) {
		if i, ok := d.integer(e.value, e.name); ok {
			if i < 1 {
				d.errs.add(e.value.place, "pod %d is out of range: expected 1 to %d", i, math.MaxInt64)
				return
			}
			n.Pod = uint64(i)
		}
	}},
}

func (d *decoder) enrollment(v *value) Enrollment {
	n := Enrollment{Place: v.place}
	decodeTable(d, v, "[[enroll]]", enrollKeys, &n)
	exec, cgroup := v.find("exec"), v.find("cgroup")
	switch {
	case exec == nil && cgroup == nil:
		d.errs.add(v.place, "[[enroll]] has neither exec nor cgroup: expected exactly one")
	case exec != nil && cgroup != nil:
		d.errs.add(cgroup.place, "[[enroll]] has both exec and cgroup: expected exactly one")
	}
	if v.find("role") == nil {
		d.errs.add(v.place, "[[enroll]] has no role")
	}
	return n
}

// tablesOf gives the elements of an array of tables at the top.
func (d *decoder) tablesOf(e *entry, want string) []*value {
	want = "an array of tables " + want
	if e.value.how != repeated {
		d.expected(e.value, e.name, want)
		return nil
	}
	return e.value.items
}

func checkExecPath(s string) error {
	switch {
	case !path.IsAbs(s) || path.Clean(s) != s || s == "/":
		return fmt.Errorf("%s is not the absolute, clean path of a program", token(s))
	case len(s) > MaxPathLength:
		return fmt.Errorf("path is longer than %d bytes", MaxPathLength)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("path has a NUL byte")
	}
	return nil
}

func checkCgroup(s string) error {
	switch {
	case !path.IsAbs(s) || path.Clean(s) != s:
		return fmt.Errorf("%s is not the path of a control group: expected one like /system.slice/web.service", token(s))
	case s == "/" || s == "/init.scope":
		return fmt.Errorf("control group %s has process 1 in it", token(s))
	case strings.HasPrefix(s, "/sys/fs/cgroup/"):
		return fmt.Errorf("%s: expected the path below the mount: %s", token(s), token(strings.TrimPrefix(s, "/sys/fs/cgroup")))
	case len(s) > MaxCgroupLength:
		return fmt.Errorf("path is longer than %d bytes", MaxCgroupLength)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("path has a NUL byte")
	}
	return nil
}
