/*
 * id: S08
 * tries: perf_event_open on itself
 * role: permissive
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <linux/perf_event.h>

int attack(int argc, char **argv)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_TASK_CLOCK };

	TRY(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
	return 0;
}
