/*
 * id: F01
 * tries: open a file under a role without files
 * role: restricted
 * args: /etc/passwd
 * control: /dev/null
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
