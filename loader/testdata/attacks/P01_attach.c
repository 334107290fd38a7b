/*
 * id: P01
 * tries: PTRACE_SEIZE of the parent, which is not in the jail
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(ptrace(PTRACE_SEIZE, target(argv[1]), 0, 0));
	return 0;
}
