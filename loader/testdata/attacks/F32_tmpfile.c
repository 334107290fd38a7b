/*
 * id: F32
 * tries: O_TMPFILE
 * role: files
 * args: /srv/jail/ro
 * control: /srv/jail/rw
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_TMPFILE | O_RDWR, 0600));
	return 0;
}
