/*
 * id: C05
 * tries: give up a capability, which stays free
 * role: worker
 * expect: 0
 * as: root
 */
#include "attack.h"

#include <linux/capability.h>

int attack(int argc, char **argv)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	MUST(syscall(SYS_capget, &head, data));
	data[0].permitted &= ~(1u << CAP_KILL);
	data[0].effective &= ~(1u << CAP_KILL);
	TRY(syscall(SYS_capset, &head, data));
	return 0;
}
