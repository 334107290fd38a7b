/*
 * id: P14
 * tries: open core_pattern for writing: the kernel would run what it names outside the jail
 * role: permissive
 * args: /proc/sys/kernel/core_pattern
 * control: /proc/sys/vm/swappiness
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_WRONLY));
	return 0;
}
