/*
 * id: F34
 * tries: bind a UNIX socket to a path
 * role: files
 * args: /srv/jail/ro/new
 * control: /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	strcpy(to.sun_path, argv[1]);
	TRY(bind(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&to, sizeof(to)));
	return 0;
}
