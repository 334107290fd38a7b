/*
 * id: P09
 * tries: userfaultfd
 * role: worker
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(syscall(SYS_userfaultfd, O_CLOEXEC));
	return 0;
}
