/*
 * id: F17
 * tries: a file deeper than is judged: denied, whatever its name
 * role: files
 * args: /srv/jail/rw/dir 1100
 * control: /srv/jail/rw/dir 900
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	MUST(chdir(argv[1]));
	for (int i = 0; i < atoi(argv[2]); i++) {
		TRY(mkdir("a", 0700));
		MUST(chdir("a"));
	}
	TRY(open("file", O_RDWR | O_CREAT, 0600));
	return 0;
}
