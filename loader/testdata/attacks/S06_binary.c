/*
 * id: S06
 * tries: change the mode of jail's own binary
 * role: permissive
 * args: /tmp/jail-binary
 * control: /tmp/code
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct stat st;

	MUST(stat(argv[1], &st));
	TRY(chmod(argv[1], st.st_mode & 07777));
	return 0;
}
