/*
 * id: F36
 * tries: fchown of a descriptor that was opened for reading
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(fchown(MUST(open(argv[1], O_RDONLY)), getuid(), getgid()));
	return 0;
}
