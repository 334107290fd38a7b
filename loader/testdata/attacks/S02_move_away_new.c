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
	const char *from = strcmp(argv[1], "own") ? argv[1] : own_mount();

	TRY(syscall(SYS_move_mount, AT_FDCWD, from, AT_FDCWD, "/mnt", 0));
	MUST(syscall(SYS_move_mount, AT_FDCWD, "/mnt", AT_FDCWD, from, 0));
	return 0;
}
