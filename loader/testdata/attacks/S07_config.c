/*
 * id: S07
 * tries: write a role into the configuration
 * role: permissive
 * args: /etc/jail/roles.d/attack.toml
 * control: /tmp/attack.toml
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	TRY(fd = open(argv[1], O_CREAT | O_WRONLY, 0600));
	unlink(argv[1]);
	return 0;
}
