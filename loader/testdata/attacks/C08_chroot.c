/*
 * id: C08
 * tries: change the root directory
 * role: worker
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(chroot("/tmp"));
	return 0;
}
