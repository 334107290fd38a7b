/*
 * id: C04
 * tries: a user namespace of its own
 * role: worker
 * control-role: permissive
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(unshare(CLONE_NEWUSER));
	return 0;
}
