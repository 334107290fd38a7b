/*
 * id: F36
 * tries: utimensat with times
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

static const struct timespec times[2];

int attack(int argc, char **argv)
{
	TRY(utimensat(AT_FDCWD, argv[1], times, 0));
	return 0;
}
