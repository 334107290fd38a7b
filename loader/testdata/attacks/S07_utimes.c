/*
 * id: S07
 * tries: change the times of the configuration's directory
 * role: permissive
 * args: /etc/jail/roles.d
 * control: /srv
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(utimensat(AT_FDCWD, argv[1], NULL, 0));
	return 0;
}
