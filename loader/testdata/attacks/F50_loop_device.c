/*
 * id: F50
 * tries: the block device that a file system is on
 * role: permissive
 * args: /srv/image.device
 * control-role: admin
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
