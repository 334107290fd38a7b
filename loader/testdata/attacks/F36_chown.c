/*
 * id: F36
 * tries: chown to oneself
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(chown(argv[1], getuid(), getgid()));
	return 0;
}
