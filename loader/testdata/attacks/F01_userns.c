/*
 * id: F01
 * tries: the same in a user namespace of its own
 * role: mounter
 * args: /srv/jail/hidden/file /srv/jail/rw/file /srv/jail/rw/file
 * control: /srv/jail/ro/file /srv/jail/rw/file /srv/jail/rw/file
 * expect: EACCES
 * as: user
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	own_mounts();
	MUST(mount(argv[1], argv[2], NULL, MS_BIND, NULL));
	TRY(open(argv[3], O_RDONLY));
	return 0;
}
