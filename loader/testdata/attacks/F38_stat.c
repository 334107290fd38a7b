/*
 * id: F38
 * tries: stat of a denied name: allowed, as documented
 * role: files
 * args: /srv/jail/hidden/file
 * expect: 0
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct stat st;

	TRY(stat(argv[1], &st));
	return 0;
}
