/*
 * id: S02
 * tries: move the bpf file system away, by the new interface
 * role: permissive
 * args: /sys/fs/bpf
 * control: own
 * expect: EPERM
 * as: root
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	const char *from = argv[1];

	if (!strcmp(from, "own")) {
		own_mounts();
		from = "/run/jail-test/mount";
		MUST(mount("none", from, "tmpfs", 0, NULL));
	}
	TRY(syscall(SYS_move_mount, AT_FDCWD, from, AT_FDCWD, "/mnt", 0));
	MUST(syscall(SYS_move_mount, AT_FDCWD, "/mnt", AT_FDCWD, from, 0));
	return 0;
}
