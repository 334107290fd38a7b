/*
 * id: C09
 * tries: create a file that is set-user-ID from the start
 * role: worker
 * args: 4755
 * control: 755
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[64];
	int err = 0;

	snprintf(path, sizeof(path), "/tmp/set-id-%d", getpid());
	umask(0);
	if (open(path, O_CREAT | O_EXCL | O_WRONLY, strtoul(argv[1], NULL, 8)) < 0)
		err = errno;
	unlink(path);
	return err;
}
