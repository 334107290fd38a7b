/*
 * id: F06
 * tries: a link that somebody made before: judged by the name that is opened
 * role: files
 * args: /srv/jail/hidden/linked
 * control: /srv/jail/rw/linked
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
