/*
 * id: F23
 * tries: nothing forbidden: the kernel copies a file up as the mounter of an overlay
 * role: files
 * args: /srv/over/open/file
 * expect: 0
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(chmod(argv[1], 0666) && errno != EPERM ? -1 : 0);
	TRY(open(argv[1], O_RDWR | O_TRUNC));
	return 0;
}
