/*
 * id: S07
 * tries: a directory in the configuration
 * role: permissive
 * args: /etc/jail/roles.d/attack
 * control: /tmp/attack
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(mkdir(argv[1], 0755));
	MUST(rmdir(argv[1]));
	return 0;
}
