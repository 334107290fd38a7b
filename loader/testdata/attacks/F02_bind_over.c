/*
 * id: F02
 * tries: bind-mount an allowed directory over a denied one, and use the one beneath
 * role: mounter
 * args: /srv/jail/hidden /srv/jail/rw
 * control: /srv/jail/ro /srv/jail/rw
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	int fd;

	own_mounts();
	MUST(fd = open(argv[1], O_PATH | O_DIRECTORY));
	MUST(mount(argv[2], argv[1], NULL, MS_BIND, NULL));
	TRY(openat(fd, "file", O_RDONLY));
	return 0;
}
