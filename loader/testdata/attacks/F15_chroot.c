/*
 * id: F15
 * tries: chroot into a denied directory, so that the path begins anew
 * role: mounter
 * args: /srv/jail/hidden
 * control: /srv/jail/ro
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	if (getuid())
		own_mounts();
	MUST(chroot(argv[1]));
	MUST(chdir("/"));
	TRY(open("/file", O_RDONLY));
	return 0;
}
