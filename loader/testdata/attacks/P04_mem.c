/*
 * id: P04
 * tries: open /proc/PID/mem of the parent for writing
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

	snprintf(path, sizeof(path), "/proc/%d/mem", target(argv[1]));
	TRY(open(path, O_RDWR));
	return 0;
}
