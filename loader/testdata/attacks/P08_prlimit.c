/*
 * id: P08
 * tries: set a limit of the parent
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
	struct rlimit limit;

	MUST(prlimit(pid, RLIMIT_CORE, NULL, &limit));
	TRY(prlimit(pid, RLIMIT_CORE, &limit, NULL));
	return 0;
}
