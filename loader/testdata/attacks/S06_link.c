/*
 * id: S06
 * tries: make another name of jail's own binary
 * role: permissive
 * args: /tmp/jail-binary
 * control: /tmp/code
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char from[PATH_MAX], to[PATH_MAX + 8];

	MUST(realpath(argv[1], from) ? 0 : -1);
	snprintf(to, sizeof(to), "%s-linked", from);
	TRY(link(from, to));
	MUST(unlink(to));
	return 0;
}
