/*
 * id: C09
 * tries: make a file of its own set-user-ID
 * role: worker
 * args: 4755
 * control: 755
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[] = "/tmp/set-id-XXXXXX";
	int fd = MUST(mkstemp(path)), err = 0;

	if (fchmod(fd, strtoul(argv[1], NULL, 8)))
		err = errno;
	unlink(path);
	return err;
}
