/*
 * id: F13
 * tries: /proc/self/cwd and /proc/self/root before a denied path
 * role: files
 * args: /proc/self/root/srv/jail/hidden/file
 * control: /proc/self/root/srv/jail/ro/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
