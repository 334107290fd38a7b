/*
 * id: F36
 * tries: futimens of a descriptor that was opened for reading
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(futimens(MUST(open(argv[1], O_RDONLY)), NULL));
	return 0;
}
