/*
 * id: P08
 * tries: set the priority of the parent's input and output
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(syscall(SYS_ioprio_set, 1 /* process */, target(argv[1]), 0));
	return 0;
}
