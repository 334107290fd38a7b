/*
 * id: F37
 * tries: removexattr
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
	TRY(removexattr(argv[1], "user.jail"));
	return 0;
}
