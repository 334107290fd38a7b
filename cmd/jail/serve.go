// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"jail/launcher"
	"jail/loader"
	"jail/profiles"
)

type serveCmd struct {
	configFlags
	Verbose bool `short:"v" help:"Log each enrollment."`
}

// Help is the rest of the help.
func (serveCmd) Help() string {
	return `Listens on /run/bpfjailer/enrollment.sock, or on the socket that systemd passes, for requests: JSON, one per line, answered in order. Runs until a signal ends it.

    {"Enroll": {"pod_id": 7, "role_id": 5}}         puts the caller itself, all its threads, into a jail
    {"EnrollAtExec": {"pod_id": 7, "role_id": 5}}   the same from its next exec on
    {"Query": {"pid": 4242}}                        {"ProcessInfo": {"pod_id": 7, "role_id": 5}}
    {"MakeRole": {...}}                             {"RoleMade": {"role_id": 2147483650}}: for a jail run with rules of its own

While it runs, file systems that are mounted later are known at once to roles with file rules; without it, from the next "jail run" of root on.

The others are for root outside any jail: EnrollExecutable, RemoveExecutable, SetXattr, CheckXattr and RemoveXattr with executable_path, EnrollCgroup and RemoveCgroup with cgroup_path. Answers are "Success", {"Error": "..."} or what was asked for. The role must be open to the caller, and a jailed caller only adds to what it is under.

Examples:

    sudo jail serve
    systemctl enable --now jail-enroll.socket
`
}

// Run serves until it is told to end.
func (c *serveCmd) Run(a *app) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("serve: %w", loader.ErrNotRoot)
	}
	k, err := loader.Open()
	if err != nil {
		return err
	}
	if err := k.Close(); err != nil {
		return err
	}
	listener, err := enrollmentListener()
	if err != nil {
		return err
	}
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelInfo
	}
	shared := new(sharedKernel)
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	server := launcher.Server{
		Open:     shared.open,
		Tables:   &waysServer{app: a, configFlags: c.configFlags, shared: shared},
		MakeRole: shared.makeRole,
		Log:      logger,
	}
	ctx, stop := signal.NotifyContext(a.ctx, unix.SIGTERM, unix.SIGINT)
	defer stop()
	go func() {
		failed := func(err error) { logger.Warn("mounts are not followed", "error", err) }
		if err := loader.FollowMounts(ctx, shared.refreshMounts, failed); err != nil {
			failed(err)
		}
	}()
	defer context.AfterFunc(ctx, func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) })()
	if _, err := daemon.SdNotify(true, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	return server.Serve(ctx, listener)
}

// sharedKernel opens the kernel part once, and again when it was loaded anew meanwhile. What
// it replaces stays open: a request may still use it, and it happens once per load.
type sharedKernel struct {
	mu   sync.Mutex
	held openKernel
	pins os.FileInfo
}

// openKernel is the kernel part of a server: a request's end does not close it.
type openKernel struct{ *loader.Kernel }

func (openKernel) Close() error { return nil }

func (s *sharedKernel) open() (launcher.Kernel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pins, err := os.Stat(loader.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, loader.ErrNotLoaded
	}
	if err != nil {
		return nil, err
	}
	if s.held.Kernel != nil && os.SameFile(pins, s.pins) {
		return s.held, nil
	}
	k, err := loader.Open()
	if err != nil {
		return nil, err
	}
	s.held, s.pins = openKernel{k}, pins
	return s.held, nil
}

// refreshMounts has the kernel part know of file systems that were mounted since.
func (s *sharedKernel) refreshMounts() error {
	held, err := s.open()
	if err != nil {
		return err
	}
	return held.(openKernel).RefreshMounts()
}

// makeRole makes a role for a user.
func (s *sharedKernel) makeRole(uid uint32, rules *profiles.AdHoc) (uint32, func() error, error) {
	held, err := s.open()
	if err != nil {
		return 0, nil, err
	}
	if err := s.refreshMounts(); err != nil {
		return 0, nil, err
	}
	made, err := held.(openKernel).MakeAdHocFor(uid, rules)
	if err != nil {
		return 0, nil, err
	}
	return made.IDs[0], made.Close, nil
}

// enrollmentListener is the socket from systemd, or one of our own.
func enrollmentListener() (*net.UnixListener, error) {
	passed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("socket from systemd: %w", err)
	}
	switch len(passed) {
	case 0:
		return launcher.Listen(loader.EnrollmentSocket, filepath.Dir(loader.EnrollmentSocket))
	case 1:
		listener, ok := passed[0].(*net.UnixListener)
		if !ok {
			return nil, errors.New("socket from systemd: not a UNIX stream socket")
		}
		listener.SetUnlinkOnClose(false)
		return listener, nil
	}
	return nil, fmt.Errorf("systemd passed %d sockets, expected one", len(passed))
}
