/*
 * id: C11
 * tries: have the kernel run /sbin/request-key outside the jail
 * role: permissive
 * control-role: admin
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	/* ENOKEY and the like: nobody had an objection, there is only no answer. */
	if (syscall(SYS_request_key, "user", "jail:attack", "x", 0) < 0 && errno == EPERM)
		return EPERM;
	return 0;
}
