/*
 * id: P11
 * tries: make input events
 * role: permissive
 * args: 10:223
 * control: 1:3
 * expect: EACCES
 * as: root
 */
#include "attack.h"

#include <sys/sysmacros.h>

int attack(int argc, char **argv)
{
	int major_number = atoi(argv[1]), minor_number = atoi(strchr(argv[1], ':') + 1), err;

	unlink("/dev/jail-test");
	MUST(mknod("/dev/jail-test", S_IFCHR | 0600, makedev(major_number, minor_number)));
	err = open("/dev/jail-test", O_WRONLY) < 0 ? errno : 0;
	unlink("/dev/jail-test");
	/* No such driver: nobody else had an objection. */
	return err == ENXIO || err == ENODEV ? 0 : err;
}
