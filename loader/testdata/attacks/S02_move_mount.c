/*
 * id: S02
 * tries: hide the configuration's parent under a mount, by the new interface
 * role: permissive
 * args: /etc
 * control: /mnt
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	MUST(fd = syscall(SYS_open_tree, AT_FDCWD, "/srv", OPEN_TREE_CLONE));
	TRY(syscall(SYS_move_mount, fd, "", AT_FDCWD, argv[1], MOVE_MOUNT_F_EMPTY_PATH));
	MUST(umount2(argv[1], MNT_DETACH));
	return 0;
}
