/*
 * id: F01
 * tries: bind-mount a denied directory over an allowed one, in a mount namespace of its own
 * role: mounter
 * args: /srv/jail/hidden /srv/jail/rw/dir /srv/jail/rw/dir/file
 * control: /srv/jail/ro /srv/jail/rw/dir /srv/jail/rw/dir/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	own_mounts();
	MUST(mount(argv[1], argv[2], NULL, MS_BIND, NULL));
	chdir("/");
	TRY(open(argv[3], O_RDONLY));
	return 0;
}
