/*
 * id: F13
 * tries: a path relative to /proc/self/cwd
 * role: files
 * args: /srv/jail/hidden
 * control: /srv/jail/ro
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	MUST(chdir(argv[1]));
	TRY(open("/proc/self/cwd/file", O_RDONLY));
	return 0;
}
