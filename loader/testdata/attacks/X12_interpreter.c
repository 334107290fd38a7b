/*
 * id: X12
 * tries: an allowed script whose interpreter is not allowed, five scripts deep
 * role: programs
 * args: /srv/jail/rw/program
 * control: /srv/jail/rwx/program
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	char script[64], *next = argv[1], names[4][64];

	copy_file("/srv/jail/ro/true", argv[1]);
	for (int i = 0; i < 4; i++) {
		int fd;

		snprintf(names[i], sizeof(names[i]), "/srv/jail/rwx/script%d", i);
		fd = MUST(creat(names[i], 0755));
		MUST(write(fd, script, snprintf(script, sizeof(script), "#!%s\n", next)));
		close(fd);
		next = names[i];
	}
	TRY(execl(next, next, NULL));
	return 0;
}
