/*
 * id: S08
 * tries: open the kernel log for writing
 * role: permissive
 * args: /dev/kmsg
 * control: /dev/null
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDWR));
	return 0;
}
