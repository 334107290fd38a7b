/*
 * id: X11
 * tries: give an interpreter a script that may not be executed: it reads it as data
 * role: programs
 * args: /srv/jail/rw/script
 * expect: 0
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = MUST(creat(argv[1], 0644));

	MUST(write(fd, "exit 0\n", 7));
	close(fd);
	TRY(execl("/bin/sh", "sh", argv[1], NULL));
	return 0;
}
