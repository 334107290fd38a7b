/*
 * id: S07
 * tries: take an attribute from the configuration's directory
 * role: permissive
 * args: /etc/jail/roles.d
 * control: /srv
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <sys/xattr.h>

int attack(int argc, char **argv)
{
	/* ENODATA: nobody else had an objection. */
	return removexattr(argv[1], "trusted.jail") && errno != ENODATA ? errno : 0;
}
