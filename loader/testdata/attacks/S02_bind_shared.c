/*
 * id: S02
 * tries: hide the configuration's parent, in a call that also looks like one of propagation
 * role: permissive
 * args: /etc
 * control: /mnt
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(mount("/srv", argv[1], NULL, MS_BIND | MS_SHARED, NULL));
	MUST(umount2(argv[1], MNT_DETACH));
	return 0;
}
