/*
 * id: N28
 * tries: mount a filesystem, whose driver might open connections (NFS, CIFS, 9p)
 * role: webserver
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = syscall(SYS_fsopen, "tmpfs", 0);

	TRY(fd);
	TRY(syscall(SYS_fsconfig, fd, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0));
	TRY(syscall(SYS_fsmount, fd, 0, 0));
	return 0;
}
