package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// cache is the folder that keeps what was downloaded or built: kernels, tools, root file systems.
type cache string

// openCache returns ${JAIL_CACHE:-$HOME/.cache/jail}, created if need be.
func openCache() (cache, error) {
	dir := os.Getenv("JAIL_CACHE")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder: %w (set JAIL_CACHE)", err)
		}
		dir = filepath.Join(home, ".cache", "jail")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return cache(dir), os.MkdirAll(dir, 0o755)
}

// once returns the path of the cached folder name. If it is not there, build fills a temporary
// folder that is then renamed: other processes see it complete or not at all, and wait meanwhile.
func (c cache) once(name string, build func(tmp string) error) (string, error) {
	path := filepath.Join(string(c), name)
	if exists(path) {
		return path, nil
	}
	lock, err := os.Create(filepath.Join(string(c), ".lock-"+name))
	if err != nil {
		return "", err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if exists(path) {
		return path, nil
	}

	notef("filling the cache: %s", path)
	tmp := filepath.Join(string(c), ".tmp-"+name)
	if err := os.RemoveAll(tmp); err != nil { // left by a process that died
		return "", err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", err
	}
	if err := build(tmp); err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	return path, os.Rename(tmp, path)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
