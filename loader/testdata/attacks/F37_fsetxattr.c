/*
 * id: F37
 * tries: fsetxattr of a descriptor that was opened for reading
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
	TRY(fsetxattr(MUST(open(argv[1], O_RDONLY)), "user.test", "x", 1, 0));
	return 0;
}
