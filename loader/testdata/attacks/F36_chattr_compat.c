/*
 * id: F36
 * tries: change a file's attributes by a call of the 32-bit kind
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "compat.h"

int attack(int argc, char **argv)
{
	int fd = MUST(open(argv[1], O_RDONLY)), flags;

	MUST(ioctl(fd, 0x80086601, &flags));		     /* FS_IOC_GETFLAGS */
	return compat_ioctl(fd, 0x40046602, (char *)&flags); /* FS_IOC32_SETFLAGS */
}
