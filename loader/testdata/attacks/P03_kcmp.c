/*
 * id: P03
 * tries: compare descriptors with the parent's
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	pid_t pid = target(argv[1]);

	TRY(syscall(SYS_kcmp, pid, pid, 0 /* KCMP_FILE */, 0, 0));
	return 0;
}
