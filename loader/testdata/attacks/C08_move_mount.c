/*
 * id: C08
 * tries: the new mount interface, from a role that has the capability and may not mount
 * role: administers
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	MUST(unshare(CLONE_NEWNS));
	MUST(fd = syscall(SYS_open_tree, AT_FDCWD, "/tmp", OPEN_TREE_CLONE));
	TRY(syscall(SYS_move_mount, fd, "", AT_FDCWD, "/mnt", MOVE_MOUNT_F_EMPTY_PATH));
	MUST(umount2("/mnt", MNT_DETACH));
	return 0;
}
