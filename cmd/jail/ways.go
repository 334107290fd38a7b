// SPDX-License-Identifier: MIT

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"jail/launcher"
	"jail/loader"
	"jail/profiles"
)

// configFile is below the configuration directory.
const configFile = "jail.toml"

// ways are the ways in besides jail run, of jail.toml and of the record of marks.
func (f configFlags) ways(a *app, set *profiles.Set) (w loader.Ways, err error) {
	config, err := a.readJailConfig(f.Config)
	if err != nil {
		return w, err
	}
	var mistakes profiles.ErrorList
	for _, e := range config.Enroll {
		role, ok := set.ByName(e.Role)
		if !ok {
			mistakes = append(mistakes, &profiles.Error{Place: e.Place, Message: fmt.Sprintf("unknown role %q", e.Role)})
			continue
		}
		entrance := loader.Entrance{Role: role.ID, Pod: e.Pod}
		if e.Cgroup != "" {
			w.Cgroups = append(w.Cgroups, loader.PathEntrance{Path: e.Cgroup, Entrance: entrance})
			continue
		}
		if _, err := os.Stat(e.Exec); errors.Is(err, os.ErrNotExist) {
			a.warn("%s: %s is not there: it will be jailed once it is", e.Place, e.Exec)
		}
		w.Execs = append(w.Execs, loader.PathEntrance{Path: e.Exec, Entrance: entrance})
	}
	if len(mistakes) > 0 {
		return w, mistakes
	}
	if os.Geteuid() != 0 {
		return w, nil
	}
	marks, err := launcher.ReadMarks(launcher.MarksFile)
	if err != nil {
		return w, err
	}
	for _, m := range marks {
		id := m.ID
		if role, ok := set.ByName(m.Role); ok {
			id = role.ID
		} else {
			a.warn("%s is marked for role %s, which is not configured: it cannot be executed", m.Path, m.Role)
		}
		w.Marked = append(w.Marked, loader.PathEntrance{Path: m.Path, Entrance: loader.Entrance{Role: id, Pod: m.Pod}})
	}
	return w, nil
}

// readJailConfig reads jail.toml; without one nothing is enrolled by it.
func (a *app) readJailConfig(asked string) (*profiles.Config, error) {
	dir, owner := configDir, 0
	if asked = cmp.Or(asked, os.Getenv(configEnv)); asked != "" && !a.gained {
		dir, owner = asked, os.Getuid()
	}
	top, _, err := openTrusted(unix.AT_FDCWD, dir, dir, unix.S_IFDIR, owner)
	if errors.Is(err, os.ErrNotExist) {
		return &profiles.Config{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer top.Close()
	shown := filepath.Join(dir, configFile)
	file, _, err := openTrusted(int(top.Fd()), configFile, shown, unix.S_IFREG, owner)
	if errors.Is(err, os.ErrNotExist) {
		return &profiles.Config{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, profiles.MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, pathCause(err))
	}
	return profiles.ParseConfig(shown, data)
}

// enrollRunning takes in what runs already and would be jailed if it were started now.
func (a *app) enrollRunning(k *loader.Kernel, w loader.Ways) {
	for _, err := range k.EnrollRunning(a.ctx, w) {
		a.warn("stays outside: %v", err)
	}
}

// loadAll loads the kernel part with everything that is configured.
func (f configFlags) loadAll(a *app, set *profiles.Set) (*loader.Kernel, error) {
	w, err := f.ways(a, set)
	if err != nil {
		return nil, err
	}
	k, err := loader.Load(a.ctx, loader.Options{Roles: set.Roles(), Ways: w})
	if err == nil {
		a.enrollRunning(k, w)
	}
	return k, err
}
