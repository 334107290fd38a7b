/*
 * id: F36
 * tries: utimensat to now
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(utimensat(AT_FDCWD, argv[1], NULL, 0));
	return 0;
}
