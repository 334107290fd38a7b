// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"jail/launcher"
	"jail/loader"
)

// waysServer answers the requests about executables and control groups. What is asked for
// by EnrollExecutable and EnrollCgroup lasts until it is taken back or the kernel part is
// unloaded; SetXattr marks, as jail mark does.
type waysServer struct {
	*app
	configFlags
	shared *sharedKernel
	mu     sync.Mutex // one change at a time
}

var _ launcher.Tables = (*waysServer)(nil)

// with runs a change with the kernel part.
func (s *waysServer) with(change func(k *loader.Kernel) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.shared.open(); err != nil {
		return err
	}
	return change(s.shared.held.Kernel)
}

// openAsked opens an executable by the absolute path that a request has.
func openAsked(path string) (*os.File, string, error) {
	if !filepath.IsAbs(path) {
		return nil, "", fmt.Errorf("executable_path: %.256q is not an absolute path", path)
	}
	return launcher.OpenMarkable(path)
}

// loadedByID finds a role by its id.
func loadedByID(k *loader.Kernel, id uint32) (loader.LoadedRole, error) {
	list, err := k.Roles()
	if err != nil {
		return loader.LoadedRole{}, err
	}
	at := slices.IndexFunc(list, func(r loader.LoadedRole) bool { return r.ID == id })
	if at < 0 {
		return loader.LoadedRole{}, fmt.Errorf("role %d is not loaded", id)
	}
	return list[at], nil
}

// EnrollExecutable makes each later exec of the file, under whatever name, enter the role.
func (s *waysServer) EnrollExecutable(path string, pod uint64, role uint32) error {
	return s.with(func(k *loader.Kernel) error {
		f, _, err := openAsked(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := loadedByID(k, role); err != nil {
			return err
		}
		return k.PutExecutable(f, loader.Entrance{Role: role, Pod: pod})
	})
}

// RemoveExecutable takes that back.
func (s *waysServer) RemoveExecutable(path string) error {
	return s.with(func(k *loader.Kernel) error {
		f, _, err := openAsked(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return k.DeleteExecutable(f)
	})
}

// EnrollCgroup lists the control group and takes in who is there already.
func (s *waysServer) EnrollCgroup(path string, pod uint64, role uint32) error {
	return s.with(func(k *loader.Kernel) error {
		if !filepath.IsAbs(path) || filepath.Clean(path) != path {
			return fmt.Errorf("cgroup_path: %.256q is not a path below the cgroup2 mount", path)
		}
		if _, err := loadedByID(k, role); err != nil {
			return err
		}
		e := loader.Entrance{Role: role, Pod: pod}
		if err := k.PutCgroup(path, e); err != nil {
			return err
		}
		return errors.Join(k.EnrollRunning(s.ctx, loader.Ways{Cgroups: []loader.PathEntrance{{Path: path, Entrance: e}}})...)
	})
}

// RemoveCgroup takes it off the list; who is there stays jailed.
func (s *waysServer) RemoveCgroup(path string) error {
	return s.with(func(k *loader.Kernel) error { return k.DeleteCgroup(path) })
}

// SetXattr marks the file.
func (s *waysServer) SetXattr(path string, pod uint64, role uint32) error {
	return s.with(func(k *loader.Kernel) error {
		f, real, err := openAsked(path)
		if err != nil {
			return err
		}
		defer f.Close()
		r, err := loadedByID(k, role)
		if err != nil {
			return err
		}
		if err := s.recordMark(f, launcher.Mark{Path: real, Role: r.Name, ID: role, Pod: pod}); err != nil {
			return err
		}
		return s.refreshed()
	})
}

// CheckXattr reads the mark off the file.
func (s *waysServer) CheckXattr(path string) (pod uint64, role uint32, err error) {
	f, _, err := openAsked(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	role, pod, found, err := launcher.Attribute(f)
	if err == nil && !found {
		err = fmt.Errorf("%s: %s: %w", path, launcher.MarkAttribute, unix.ENODATA)
	}
	return pod, role, err
}

// RemoveXattr takes the mark off.
func (s *waysServer) RemoveXattr(path string) error {
	return s.with(func(*loader.Kernel) error {
		f, _, err := openAsked(path)
		if err != nil {
			return err
		}
		_ = f.Close()
		if err := unmark(path); err != nil {
			return err
		}
		return s.refreshed()
	})
}

// refreshed brings the tables in line with the record of marks.
func (s *waysServer) refreshed() error {
	set, err := s.roles(s.app)
	if err != nil {
		return err
	}
	return s.refresh(s.app, set)
}
