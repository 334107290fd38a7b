/*
 * id: X13
 * tries: register an interpreter for a format, with the flags for set-user-ID and an open file
 * role: permissive
 * args: /proc/sys/fs/binfmt_misc/register
 * control: /dev/null
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	const char *format = ":jail-test:E::jail-test::/bin/true:CF";
	int fd;

	TRY(fd = open(argv[1], O_WRONLY));
	MUST(write(fd, format, strlen(format)));
	close(fd);
	fd = open("/proc/sys/fs/binfmt_misc/jail-test", O_WRONLY);
	if (fd >= 0)
		MUST(write(fd, "-1", 2));
	return 0;
}
