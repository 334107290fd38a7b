/*
 * id: F17
 * tries: a denied name 600 directories down
 * role: files
 * args: /srv/jail/rw/dir .env
 * control: /srv/jail/rw/dir other
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char name[] = "a";

	MUST(chdir(argv[1]));
	for (int i = 0; i < 600; i++) {
		TRY(mkdir(name, 0700));
		MUST(chdir(name));
	}
	TRY(open(argv[2], O_RDWR | O_CREAT, 0600));
	return 0;
}
