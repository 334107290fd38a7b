/*
 * id: P08
 * tries: change the parent's priority
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(setpriority(PRIO_PROCESS, target(argv[1]), 0));
	return 0;
}
