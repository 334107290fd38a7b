/*
 * id: P14
 * tries: open a file of sysfs for writing
 * role: permissive
 * args: /sys/kernel/mm/ksm/run
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
