/*
 * id: F49
 * tries: acct(2) makes the kernel write to a file
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * as: root
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(acct(argv[1]));
	acct(NULL);
	return 0;
}
