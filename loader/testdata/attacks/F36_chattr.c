/*
 * id: F36
 * tries: FS_IOC_SETFLAGS
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
	int flags;

	MUST(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= FS_NODUMP_FL;
	TRY(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	return 0;
}
