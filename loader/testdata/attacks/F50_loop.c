/*
 * id: F50
 * tries: make a block device of a file of one's own
 * role: permissive
 * args: /dev/loop-control
 * control: /dev/null
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDWR));
	return 0;
}
