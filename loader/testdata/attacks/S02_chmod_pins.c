/*
 * id: S02
 * tries: open the pins to everyone
 * role: permissive
 * args: /sys/fs/bpf/jail
 * control: /tmp
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
