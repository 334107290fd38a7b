/*
 * id: C07
 * tries: enter a mount namespace, be it its own
 * role: worker
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = MUST(open("/proc/self/ns/mnt", O_RDONLY));

	TRY(setns(fd, CLONE_NEWNS));
	return 0;
}
