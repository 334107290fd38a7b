package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"jail/scripts"
)

const rootfsSuite = "bookworm"

// rootfsVersion is part of the image's name: count it up when the way it is made changes.
const rootfsVersion = "1"

// rootfsCustomize runs on the finished tree ($1): a normal user who may use sudo; services wait to
// be started; no log-in prompts, which would wait for a udev that is not there.
const rootfsCustomize = `set -eu
chroot "$1" useradd --create-home --uid 1000 --user-group --shell /bin/bash user
echo 'user ALL=(ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/user"
echo vm >"$1/etc/hostname"
printf '127.0.0.1 localhost vm\n::1 localhost\n' >"$1/etc/hosts"
rm -f "$1/etc/resolv.conf" "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/*
chroot "$1" systemctl disable nginx.service redis-server.service postgresql.service cron.service ssh.service
chroot "$1" systemctl mask getty.target apt-daily.timer apt-daily-upgrade.timer
`

// getRootfs returns the ext4 image of a Debian system with the listed packages. It is made once.
func getRootfs(c cache) (string, error) {
	var packages []string
	for _, f := range table(scripts.RootfsPackages) {
		packages = append(packages, f...)
	}
	key := sha256.Sum256([]byte(strings.Join(append(packages, rootfsVersion, rootfsSuite, rootfsCustomize), "\n")))
	dir, err := c.once(fmt.Sprintf("rootfs-%x", key[:6]), func(tmp string) error {
		return buildRootfs(tmp, packages)
	})
	if err != nil {
		return "", fmt.Errorf("root file system: %w", err)
	}
	return filepath.Join(dir, "root.ext4"), nil
}

func buildRootfs(dir string, packages []string) error {
	for tool, pkg := range map[string]string{"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w (run 'apt-get install %s')", err, pkg)
		}
	}
	sources, err := aptSources([]string{rootfsSuite, rootfsSuite + "-security"})
	if err != nil {
		return err
	}
	tree := filepath.Join(dir, "tree")
	hook := filepath.Join(dir, "customize")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\n"+rootfsCustomize), 0o755); err != nil {
		return err
	}
	args := []string{
		"--mode=root", "--variant=minbase", "--format=directory", "--quiet",
		"--include=" + strings.Join(packages, ","),
		"--aptopt=APT::Install-Recommends false",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--customize-hook=" + hook,
		rootfsSuite, tree,
	}
	if _, err := output(exec.Command("mmdebstrap", append(args, sources...)...)); err != nil {
		return err
	}
	// Sparse, so that free space costs nothing. verity is for fs-verity.
	image := filepath.Join(dir, "root.ext4")
	if _, err := output(exec.Command("mke2fs", "-q", "-t", "ext4", "-O", "verity", "-m", "0", "-L", "root", "-d", tree, image, "4G")); err != nil {
		return err
	}
	if err := os.Remove(hook); err != nil {
		return err
	}
	return os.RemoveAll(tree)
}
