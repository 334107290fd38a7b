/*
 * id: F32
 * tries: create a name that a rule denies
 * role: files
 * args: /srv/jail/rw/.env
 * control: /srv/jail/rw/env
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_WRONLY | O_CREAT, 0600));
	return 0;
}
