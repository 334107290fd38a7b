package launcher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// defaultPath is searched where PATH is not set, as execvp does.
const defaultPath = "/bin:/usr/bin"

// lookup finds the command as execvp would: a name with a slash as it stands, any
// other in PATH, where an entry that may not be executed is passed over but remembered.
func lookup(name, path string, pathSet bool) (string, error) {
	if strings.Contains(name, "/") {
		return name, runnable(name)
	}
	if !pathSet {
		path = defaultPath
	}
	denied := error(nil)
	if name != "" {
		for _, dir := range filepath.SplitList(path) {
			if dir == "" {
				dir = "."
			}
			file := dir + "/" + name
			err := runnable(file)
			if err == nil {
				return file, nil
			}
			if errors.Is(err, ErrNotRunnable) && denied == nil {
				denied = err
			}
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("%s: %w", name, ErrNotFound)
}

// runnable tells whether a file exists and this process may execute it.
func runnable(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%s: %w", file, ErrNotFound)
	case err != nil:
		return fmt.Errorf("%s: %w: %w", file, ErrNotRunnable, errors.Unwrap(err))
	case info.IsDir():
		return fmt.Errorf("%s: %w: %w", file, ErrNotRunnable, unix.EISDIR)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("%s: %w: %w", file, ErrNotRunnable, err)
	}
	return nil
}
