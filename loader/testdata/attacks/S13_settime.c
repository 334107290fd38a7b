/*
 * id: S13
 * tries: set the clock
 * role: worker
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <time.h>

int attack(int argc, char **argv)
{
	struct timespec now;

	MUST(clock_gettime(CLOCK_REALTIME, &now));
	TRY(clock_settime(CLOCK_REALTIME, &now));
	return 0;
}
