/*
 * id: S02
 * tries: change the options of the bpf file system
 * role: permissive
 * args: /sys/fs/bpf
 * control: /tmp
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	MUST(fd = syscall(SYS_fspick, AT_FDCWD, argv[1], 0));
	TRY(syscall(SYS_fsconfig, fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
	return 0;
}
