/*
 * id: C02
 * tries: exec of a file with capabilities
 * role: worker
 * args: /tmp/capable
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	/* From here on without capabilities, and without no_new_privs, which an ordinary
	 * user would enter with. */
	MUST(setgroups(0, NULL));
	MUST(setresgid(1000, 1000, 1000));
	MUST(setresuid(1000, 1000, 1000));
	TRY(execl(argv[1], argv[1], NULL));
	return 0;
}
