/*
 * id: S02
 * tries: hide the configuration's parent under a mount
 * role: permissive
 * args: /etc
 * control: /mnt
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(mount("none", argv[1], "tmpfs", 0, NULL));
	MUST(umount2(argv[1], MNT_DETACH));
	return 0;
}
