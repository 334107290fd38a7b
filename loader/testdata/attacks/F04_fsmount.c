/*
 * id: F04
 * tries: a tmpfs of another mount namespace, laid out like an allowed path
 * role: mounter
 * args: /srv/jail/rw/dir
 * control:
 * control-role: admin
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	own_mounts();
	MUST(mount("none", argv[1], "tmpfs", 0, NULL));
	MUST(chdir(argv[1]));
	TRY(open("file", O_RDWR | O_CREAT, 0600));
	return 0;
}
