//go:build vm

package loader

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jail/profiles"
)

// What attacks find outside the jail besides the tree of files: file systems, terminals,
// processes of other jails, and a modprobe that tells that it was run.

// mountFileSystems mounts what roles.toml has rules for: on /srv/image an ext4 with a
// directory that takes any spelling, of a btrfs two subvolumes, and an overlay.
func mountFileSystems(t *testing.T) {
	t.Helper()
	sh(t, `
		umask 0
		image() { # NAME MEGABYTES: a loop device, which /srv/NAME.device names
			truncate -s $2M /var/tmp/$1.image
			ln -sfn $(losetup -f --show /var/tmp/$1.image) /srv/$1.device
		}
		image image 16
		mkfs.ext4 -q -O casefold -E encoding=utf8 /srv/image.device
		mkdir -p /srv/image
		mount /srv/image.device /srv/image
		mkdir -p /srv/image/hidden /srv/image/open/plain /srv/image/open/folded
		chattr +F /srv/image/open/folded
		for d in hidden open/plain open/folded; do echo x >/srv/image/$d/file; done

		image btrfs 128
		mkfs.btrfs -q -m single -d single /srv/btrfs.device
		mount /srv/btrfs.device /mnt
		for v in open hidden; do
			btrfs -q subvolume create /mnt/$v
			echo x >/mnt/$v/file
		done
		umount /mnt
		for v in open hidden; do
			mkdir -p /srv/btrfs-$v
			mount -o subvol=$v /srv/btrfs.device /srv/btrfs-$v
		done

		mkdir -p /srv/layers/lower/open /srv/layers/lower/hidden /srv/layers/upper /srv/layers/work /srv/over
		for d in open hidden; do echo x >/srv/layers/lower/$d/file; done
		mount -t overlay -o lowerdir=/srv/layers/lower,upperdir=/srv/layers/upper,workdir=/srv/layers/work none /srv/over
	`)
	t.Cleanup(func() {
		sh(t, `
			umount -l /srv/over /srv/btrfs-open /srv/btrfs-hidden /srv/image
			losetup -D
			rm -rf /srv/layers /var/tmp/*.image /srv/*.device`)
	})
}

func sh(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-e", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// prepareHelpers makes the rest.
func prepareHelpers(t *testing.T, set *profiles.Set) {
	t.Helper()
	const dir = "/run/jail-test"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir, 0o777))
	must(os.MkdirAll(dir+"/mount", 0o755))

	helper := filepath.Join(dir, "modprobe")
	must(os.WriteFile(helper, []byte("#!/bin/sh\n>"+dir+"/modprobe-ran\nexit 1\n"), 0o755))
	const setting = "/proc/sys/kernel/modprobe"
	was, err := os.ReadFile(setting)
	must(err)
	must(os.WriteFile(setting, []byte(helper), 0))
	t.Cleanup(func() { _ = os.WriteFile(setting, was, 0) })

	_ = unix.Mount("none", "/proc/sys/fs/binfmt_misc", "binfmt_misc", 0, "")
	sh(t, "cp /bin/true /tmp/capable && setcap cap_kill=ep /tmp/capable")

	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(err)
	t.Cleanup(func() { _ = master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(err)
	must(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	terminal := fmt.Sprintf("/dev/pts/%d", number)
	must(os.Chmod(terminal, 0o666))
	must(os.Symlink(terminal, dir+"/terminal"))

	for _, name := range []string{"permissive", "worker"} {
		role, ok := set.ByName(name)
		if !ok {
			t.Fatalf("no role %q", name)
		}
		cmd := exec.Command(attackBinary, "-j", fmt.Sprint(role.ID), "E00_sleep")
		must(cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		must(os.WriteFile(dir+"/pid-"+name, fmt.Append(nil, cmd.Process.Pid), 0o644))
		waitForExec(t, cmd.Process.Pid, "E00_sleep")
	}
}

// waitForExec waits until a process's arguments begin with its name and that one.
func waitForExec(t *testing.T, pid int, first string) {
	t.Helper()
	for range 500 {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if args := strings.Split(string(text), "\x00"); len(args) > 1 && args[1] == first {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("process %d never executed %s", pid, first)
}
