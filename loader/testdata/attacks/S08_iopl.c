/*
 * id: S08
 * tries: reach the machine's ports
 * role: permissive
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <sys/io.h>

int attack(int argc, char **argv)
{
	TRY(ioperm(0x80, 1, 1));
	return 0;
}
