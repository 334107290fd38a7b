/*
 * id: F23
 * tries: lay an overlay of a denied directory over an allowed one
 * role: mounter
 * args: /srv/jail/rw/dir/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	own_mounts();
	MUST(mount("none", "/srv/jail/rw/dir", "overlay", 0,
		   "lowerdir=/srv/jail/hidden:/srv/jail/ro"));
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
