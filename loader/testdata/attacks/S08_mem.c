/*
 * id: S08
 * tries: open the machine's memory
 * role: permissive
 * args: /dev/mem
 * control-role: admin
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
