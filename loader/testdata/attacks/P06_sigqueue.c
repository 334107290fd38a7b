/*
 * id: P06
 * tries: queue signal 0 to the parent
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(sigqueue(target(argv[1]), 0, (union sigval){ 0 }));
	return 0;
}
