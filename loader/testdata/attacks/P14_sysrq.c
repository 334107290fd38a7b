/*
 * id: P14
 * tries: open sysrq-trigger for writing
 * role: permissive
 * args: /proc/sysrq-trigger
 * control: /dev/null
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_WRONLY));
	return 0;
}
