/*
 * id: P03
 * tries: process_vm_readv of the parent, which is not in the jail
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char byte;
	struct iovec mine = { &byte, 1 }, theirs = { (void *)1, 1 };

	/* EFAULT: the access check passed */
	if (process_vm_readv(target(argv[1]), &mine, 1, &theirs, 1, 0) < 0 && errno != EFAULT)
		return errno;
	return 0;
}
