/*
 * id: S08
 * tries: read the kernel's log
 * role: worker
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char buf[256];

	TRY(syscall(SYS_syslog, 3, buf, sizeof(buf)));
	return 0;
}
