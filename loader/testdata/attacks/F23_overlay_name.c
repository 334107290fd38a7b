/*
 * id: F23
 * tries: a file of an overlay by the path of its layer
 * role: files
 * args: /srv/layers/lower/hidden/file
 * control: /srv/over/open/file
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
