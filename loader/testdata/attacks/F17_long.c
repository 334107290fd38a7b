/*
 * id: F17
 * tries: a denied name beneath a directory whose name has 255 bytes
 * role: files
 * args: /srv/jail/rw/dir .env
 * control: /srv/jail/rw/dir other
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char name[256];

	memset(name, 'n', 255);
	name[255] = 0;
	MUST(chdir(argv[1]));
	TRY(mkdir(name, 0700));
	MUST(chdir(name));
	TRY(open(argv[2], O_RDWR | O_CREAT, 0600));
	return 0;
}
