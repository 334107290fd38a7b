/*
 * id: S08
 * tries: open the disk below the file systems
 * role: permissive
 * args: /dev/vda
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
