/*
 * id: F37
 * tries: setxattr
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include <sys/xattr.h>

int attack(int argc, char **argv)
{
	TRY(setxattr(argv[1], "user.test", "x", 1, 0));
	return 0;
}
