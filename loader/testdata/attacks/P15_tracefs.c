/*
 * id: P15
 * tries: open tracefs for writing
 * role: permissive
 * args: /sys/kernel/tracing/trace_marker
 * control: /dev/null
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_WRONLY));
	return 0;
}
