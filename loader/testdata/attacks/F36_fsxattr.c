/*
 * id: F36
 * tries: FS_IOC_FSSETXATTR
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include <linux/fs.h>

int attack(int argc, char **argv)
{
	int fd = MUST(open(argv[1], O_RDONLY));
	struct fsxattr attributes;

	MUST(ioctl(fd, FS_IOC_FSGETXATTR, &attributes));
	attributes.fsx_xflags |= FS_XFLAG_NODUMP;
	TRY(ioctl(fd, FS_IOC_FSSETXATTR, &attributes));
	return 0;
}
