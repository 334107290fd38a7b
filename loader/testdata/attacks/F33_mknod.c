/*
 * id: F33
 * tries: mknod of a character device
 * role: files
 * args: /srv/jail/ro/new
 * control: /srv/jail/rw/new
 * expect: EACCES
 * as: root
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(mknod(argv[1], S_IFCHR | 0600, 0x103));
	return 0;
}
