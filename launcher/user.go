package launcher

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// User is the ids that a command runs under.
type User struct {
	UID, GID int
	Groups   []int // supplementary
}

// FindUser reads USER or USER:GROUP, each a name or a number. Without a group the user's
// own groups are taken, with one that one alone.
func FindUser(s string) (*User, error) {
	name, group, hasGroup := strings.Cut(s, ":")
	if name == "" || hasGroup && group == "" {
		return nil, errors.New("expected USER or USER:GROUP")
	}
	u := &User{}
	account, err := user.Lookup(name)
	if err != nil {
		if u.UID, err = parseID(name); err != nil {
			return nil, fmt.Errorf("unknown user %q", name)
		}
		account, err = user.LookupId(name)
	}
	if err == nil {
		if u.UID, err = parseID(account.Uid); err != nil {
			return nil, err
		}
	} else if !hasGroup {
		return nil, fmt.Errorf("user %d has no account to take the groups from: give a group, %d:GROUP", u.UID, u.UID)
	}
	if hasGroup {
		found, err := user.LookupGroup(group)
		if err == nil {
			group = found.Gid
		}
		if u.GID, err = parseID(group); err != nil {
			return nil, fmt.Errorf("unknown group %q", group)
		}
		u.Groups = []int{u.GID}
		return u, nil
	}
	if u.GID, err = parseID(account.Gid); err != nil {
		return nil, err
	}
	ids, err := account.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of %s: %w", name, err)
	}
	for _, id := range ids {
		gid, err := parseID(id)
		if err != nil {
			return nil, err
		}
		u.Groups = append(u.Groups, gid)
	}
	return u, nil
}

// parseID reads a uid or gid; the highest value means "no change" to the kernel.
func parseID(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is not an id", s)
	}
	return int(n), nil
}

// become takes the ids on, all of them: real, effective, saved, of all threads.
func (u *User) become() error {
	if u == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("another user's ids: needs root")
	}
	if err := syscall.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("groups %v: %w", u.Groups, err)
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return fmt.Errorf("group %d: %w", u.GID, err)
	}
	if err := syscall.Setresuid(u.UID, u.UID, u.UID); err != nil {
		return fmt.Errorf("user %d: %w", u.UID, err)
	}
	r, e, s := unix.Getresuid()
	rg, eg, sg := unix.Getresgid()
	if r != u.UID || e != u.UID || s != u.UID || rg != u.GID || eg != u.GID || sg != u.GID {
		return fmt.Errorf("ids are %d/%d/%d:%d/%d/%d, want %d:%d", r, e, s, rg, eg, sg, u.UID, u.GID)
	}
	return nil
}
