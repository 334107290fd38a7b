/*
 * id: S07
 * tries: a pipe in the configuration
 * role: permissive
 * args: /etc/jail/roles.d/attack.toml
 * control: /tmp/attack.toml
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(mkfifo(argv[1], 0644));
	MUST(unlink(argv[1]));
	return 0;
}
