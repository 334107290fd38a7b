/*
 * id: F34
 * tries: mkfifo
 * role: files
 * args: /srv/jail/ro/new
 * control: /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(mkfifo(argv[1], 0600));
	return 0;
}
