/*
 * id: P06
 * tries: have the kernel signal whoever memory names, by ioctl
 * role: permissive
 * args: 0x8901
 * control: 0x5421
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int pair[2], value = getpid();

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	TRY(ioctl(pair[0], strtoul(argv[1], NULL, 0), &value)); /* FIOSETOWN, FIONBIO */
	return 0;
}
