/*
 * id: C05
 * tries: make a capability inheritable, and then ambient
 * role: worker
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <linux/capability.h>

int attack(int argc, char **argv)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	MUST(syscall(SYS_capget, &head, data));
	data[0].inheritable |= 1 << CAP_CHOWN;
	TRY(syscall(SYS_capset, &head, data));
	TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	return 0;
}
