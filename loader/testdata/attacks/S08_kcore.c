/*
 * id: S08
 * tries: open the kernel's memory
 * role: permissive
 * args: /proc/kcore
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
