/*
 * id: S07
 * tries: a hard link in the configuration
 * role: permissive
 * args: /etc/jail/roles.d/attack.toml
 * control: /etc/attack.toml
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(link("/etc/hostname", argv[1]));
	MUST(unlink(argv[1]));
	return 0;
}
