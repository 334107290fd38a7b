/*
 * id: P02
 * tries: PTRACE_TRACEME where the role has no ptrace
 * role: worker
 * control-role: permissive
 * expect: EPERM
 */
#include "attack.h"

static int try(void)
{
	TRY(ptrace(PTRACE_TRACEME, 0, 0, 0));
	return 0;
}

int attack(int argc, char **argv)
{
	return in_child(try);
}
