/*
 * id: F37
 * tries: remove an ACL
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
	TRY(removexattr(argv[1], "system.posix_acl_access"));
	return 0;
}
