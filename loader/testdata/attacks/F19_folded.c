/*
 * id: F19
 * tries: open by another spelling, in a directory that takes all of them
 * role: files
 * args: /srv/image/open/folded/FILE
 * control: /srv/image/open/plain/file
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
