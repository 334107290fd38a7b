// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

const (
	configDir = "/etc/jail"
	configEnv = "JAIL_CONFIG_DIR"
	rolesDir  = "roles.d" // below the configuration directory
)

// configFlags are the flags of the commands that read the configuration.
type configFlags struct {
	Config string `placeholder:"DIR" help:"Read DIR instead of /etc/jail (also: $$JAIL_CONFIG_DIR)."`
}

// roles reads all roles: the built-in ones and those of the configuration.
func (f configFlags) roles(a *app) (*profiles.Set, error) {
	list, err := a.readConfig(f.Config)
	if err != nil {
		return nil, err
	}
	return profiles.NewSet(list...)
}

// readConfig reads the profiles of the configuration directory: the one asked for, where
// the caller may ask, otherwise /etc/jail. The current directory is never searched.
func (a *app) readConfig(asked string) ([]*profiles.Profile, error) {
	dir := cmp.Or(asked, os.Getenv(configEnv))
	if dir != "" && a.gained {
		a.warn("--config and %s are ignored: this jail is set-user-ID or has file capabilities", configEnv)
		dir = ""
	}
	if dir == "" {
		list, err := readProfiles(configDir, 0)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return list, err
	}
	return readProfiles(dir, os.Getuid())
}

// readProfiles reads DIR/roles.d/*.toml. Everything must belong to root or to owner.
func readProfiles(dir string, owner int) ([]*profiles.Profile, error) {
	top, _, err := openTrusted(unix.AT_FDCWD, dir, dir, unix.S_IFDIR, owner)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	where := filepath.Join(dir, rolesDir)
	folder, _, err := openTrusted(int(top.Fd()), rolesDir, where, unix.S_IFDIR, owner)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, pathCause(err))
	}
	slices.Sort(names)
	var (
		list     []*profiles.Profile
		mistakes profiles.ErrorList
	)
	for _, name := range names {
		if !strings.HasSuffix(name, ".toml") || strings.HasPrefix(name, ".") {
			continue
		}
		p, err := readProfile(int(folder.Fd()), name, filepath.Join(where, name), owner)
		var found profiles.ErrorList
		switch {
		case err == nil:
			list = append(list, p)
		case errors.As(err, &found):
			mistakes = append(mistakes, found...)
		default:
			return nil, err
		}
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return list, nil
}

func readProfile(dir int, name, shown string, owner int) (*profiles.Profile, error) {
	f, size, err := openTrusted(dir, name, shown, unix.S_IFREG, owner)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseFile(f, size, shown)
}

// parseFile reads what was found to be a regular file of that size, and parses it.
func parseFile(f *os.File, size int64, shown string) (*profiles.Profile, error) {
	var data []byte
	if size <= profiles.MaxFileSize {
		var err error
		if data, err = io.ReadAll(io.LimitReader(f, profiles.MaxFileSize+1)); err != nil {
			return nil, fmt.Errorf("%s: %w", shown, pathCause(err))
		}
		size = int64(len(data))
	}
	if size > profiles.MaxFileSize {
		return nil, fmt.Errorf("%s: larger than %d bytes", shown, profiles.MaxFileSize)
	}
	return profiles.Parse(shown, data)
}

// anyone is the owner of files that only have to be readable.
const anyone = -1

// openTrusted opens a file or directory once and asks the descriptor, not the name, what it
// is: of the wanted type, root's or owner's, and writable by nobody else.
func openTrusted(dir int, name, shown string, typ uint32, owner int) (*os.File, int64, error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	if owner != anyone {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := unix.Openat(dir, name, flags, 0)
	switch {
	case errors.Is(err, unix.ELOOP) && owner != anyone:
		return nil, 0, withHint(fmt.Errorf("%s: is a symbolic link", shown), "put the file itself there")
	case err != nil:
		return nil, 0, fmt.Errorf("%s: %w", shown, err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		err = trusted(shown, &st, typ, owner)
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, 0, err
	}
	return os.NewFile(uintptr(fd), shown), st.Size, nil
}

func trusted(shown string, st *unix.Stat_t, typ uint32, owner int) error {
	want := map[uint32]string{unix.S_IFDIR: "a directory", unix.S_IFREG: "a regular file"}[typ]
	switch {
	case st.Mode&unix.S_IFMT != typ:
		return fmt.Errorf("%s: is not %s", shown, want)
	case owner == anyone:
		return nil
	case st.Uid != 0 && int(st.Uid) != owner:
		return withHint(fmt.Errorf("%s: belongs to uid %d, who could change what is enforced", shown, st.Uid),
			"chown root %s", shown)
	case st.Mode&0o022 != 0:
		return withHint(fmt.Errorf("%s: mode %04o lets others change what is enforced", shown, st.Mode&0o7777),
			"chmod go-w %s", shown)
	}
	return nil
}
