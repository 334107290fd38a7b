/*
 * id: C08
 * tries: change a mounted file system's options, from a role that may not mount
 * role: administers
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	MUST(fd = syscall(SYS_fspick, AT_FDCWD, "/tmp", 0));
	TRY(syscall(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
	return 0;
}
