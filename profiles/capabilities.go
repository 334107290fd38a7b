package profiles

import (
	"fmt"
	"maps"
	"slices"
)

// capabilities gives the numbers of the capabilities that a jail gates, by their names,
// CAP_ left out. The others are left to the kernel's own rules.
var capabilities = map[string]uint{
	"dac_read_search": 2, "net_admin": 12, "sys_module": 16, "sys_rawio": 17, "sys_chroot": 18,
	"sys_pacct": 20, "sys_admin": 21, "sys_boot": 22, "sys_time": 25, "sys_tty_config": 26,
	"mknod": 27, "audit_control": 30, "mac_override": 32, "mac_admin": 33, "syslog": 34,
	"audit_read": 37, "perfmon": 38, "bpf": 39, "checkpoint_restore": 40,
}

func checkCapability(name string) error {
	if _, known := capabilities[name]; known {
		return nil
	}
	known := slices.Sorted(maps.Keys(capabilities))
	return fmt.Errorf("%s is no capability that a jail gates%s", token(name), nearest(name, known))
}

// compileCapabilities gives the mask of struct policy.
func compileCapabilities(names []Text) (mask uint64, err error) {
	for _, n := range names {
		if err := checkCapability(n.Value); err != nil {
			return 0, &Error{Place: n.Place, Message: "capabilities: " + err.Error()}
		}
		mask |= 1 << capabilities[n.Value]
	}
	return mask, nil
}

// compileDevices gives the test of a device node's path; nil where no pattern is given.
func compileDevices(patterns []Text, env *Env) (func(string) bool, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	compiled := make([]pattern, len(patterns))
	for i, t := range patterns {
		var err error
		if compiled[i], err = compilePattern(t.Value, env); err != nil {
			return nil, &Error{Place: t.Place, Message: "devices: " + err.Error()}
		}
	}
	return func(path string) bool {
		return slices.ContainsFunc(compiled, func(p pattern) bool { return p.matches(path) })
	}, nil
}
