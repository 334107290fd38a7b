/*
 * id: C08
 * tries: pivot_root, from a role that has the capability and may not mount
 * role: administers
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	MUST(unshare(CLONE_NEWNS));
	/* EINVAL, EBUSY: there was no objection but that this is no mount. */
	return syscall(SYS_pivot_root, "/srv", "/srv") && errno == EPERM ? EPERM : 0;
}
