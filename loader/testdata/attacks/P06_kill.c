/*
 * id: P06
 * tries: signal 0 to the parent, which is not in the jail
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(kill(target(argv[1]), 0));
	return 0;
}
