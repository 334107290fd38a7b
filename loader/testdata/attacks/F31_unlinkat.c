/*
 * id: F31
 * tries: unlinkat from an O_PATH directory
 * role: files
 * args: /srv/jail/ro
 * control: /srv/jail/rw
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(unlinkat(MUST(open(argv[1], O_PATH)), "file", 0));
	return 0;
}
