/*
 * id: X22
 * tries: load a kernel to boot, from a file that is none
 * role: permissive
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = MUST(open("/tmp/data", O_RDONLY));

	if (syscall(SYS_kexec_file_load, fd, -1, 1, "", 4 /* no initrd */) < 0 && errno == EPERM)
		return EPERM;
	return 0;
}
