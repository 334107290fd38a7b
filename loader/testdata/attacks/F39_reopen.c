/*
 * id: F39
 * tries: open anew what was open before the jail was entered
 * role: files
 * args: /proc/self/fd/3
 * control: /srv/jail/ro/file
 * descriptor: /srv/jail/hidden/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
