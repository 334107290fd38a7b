package launcher

import "errors"

// ErrNoServer: nobody answers on the enrollment socket.
var ErrNoServer = errors.New("nobody listens on the enrollment socket")

// The three ways of not running a command, each with an exit status of its own.
var (
	// ErrNotFound: the command does not exist (exit status 127).
	ErrNotFound = errors.New("command not found")
	// ErrNotRunnable: the command exists and cannot be executed (exit status 126).
	ErrNotRunnable = errors.New("cannot execute")
)
