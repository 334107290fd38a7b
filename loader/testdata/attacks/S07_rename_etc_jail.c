/*
 * id: S07
 * tries: replace the whole configuration by a directory of its own
 * role: permissive
 * args: /etc/jail
 * control: /tmp/etc-jail
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char to[PATH_MAX];

	if (strncmp(argv[1], "/etc", 4))
		MUST(mkdir(argv[1], 0700));
	snprintf(to, sizeof(to), "%s.away", argv[1]);
	TRY(rename(argv[1], to));
	MUST(rename(to, argv[1]));
	if (strncmp(argv[1], "/etc", 4))
		MUST(rmdir(argv[1]));
	return 0;
}
