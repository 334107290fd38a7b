package loader

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"jail/profiles"
)

// accountFiles hold the names. Other sources (LDAP...) would take a C library and its
// modules into a privileged process: such users and groups are given by number.
var accountFiles = map[profiles.EntrantKind]string{
	profiles.User:  "/etc/passwd",
	profiles.Group: "/etc/group",
}

// account gives the number of a user or group.
func account(kind profiles.EntrantKind, name string) (uint32, error) {
	file := accountFiles[kind]
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	id, ok := findAccount(data, name)
	if !ok {
		return 0, fmt.Errorf("no %s %q in %s (one from elsewhere: give its number)", kind, name, file)
	}
	return id, nil
}

// findAccount finds a name's number: the third field of its line in either file.
func findAccount(data []byte, name string) (uint32, bool) {
	for line := range bytes.Lines(data) {
		fields := bytes.Split(bytes.TrimSpace(line), []byte(":"))
		if len(fields) < 3 || string(fields[0]) != name {
			continue
		}
		id, err := strconv.ParseUint(string(fields[2]), 10, 32)
		if err == nil {
			return uint32(id), true
		}
	}
	return 0, false
}
