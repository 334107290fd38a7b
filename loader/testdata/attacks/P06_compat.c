/*
 * id: P06
 * tries: have the kernel signal whoever memory names, by a call of the 32-bit kind
 * role: permissive
 * args: 0x8901
 * control: 0x5421
 * expect: EPERM
 */
#include "compat.h"

int attack(int argc, char **argv)
{
	int pair[2], value = getpid();

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	return compat_ioctl(pair[0], strtoul(argv[1], NULL, 0), (char *)&value);
}
