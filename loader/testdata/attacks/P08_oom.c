/*
 * id: P08
 * tries: write the parent's oom_score_adj
 * role: permissive
 * args: parent
 * control: child
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", target(argv[1]));
	TRY(open(path, O_WRONLY));
	return 0;
}
