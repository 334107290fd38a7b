/*
 * id: S02
 * tries: move the directory of the pins away and back
 * role: permissive
 * args: /sys/fs/bpf/jail
 * control: /tmp/jail-moved
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char to[PATH_MAX];

	if (strncmp(argv[1], "/sys", 4))
		MUST(mkdir(argv[1], 0700));
	snprintf(to, sizeof(to), "%s-away", argv[1]);
	TRY(rename(argv[1], to));
	MUST(rename(to, argv[1]));
	if (strncmp(argv[1], "/sys", 4))
		MUST(rmdir(argv[1]));
	return 0;
}
