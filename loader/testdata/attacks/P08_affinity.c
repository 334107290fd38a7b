/*
 * id: P08
 * tries: set the parent's affinity
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
	cpu_set_t set;

	MUST(sched_getaffinity(pid, sizeof(set), &set));
	TRY(sched_setaffinity(pid, sizeof(set), &set));
	return 0;
}
