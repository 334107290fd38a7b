/*
 * id: F15
 * tries: dots, slashes, RESOLVE_IN_ROOT and an O_PATH directory
 * role: files
 * args: /srv/jail/hidden
 * control: /srv/jail/ro
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include <linux/openat2.h>

int attack(int argc, char **argv)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_IN_ROOT };
	int dir = MUST(open(argv[1], O_PATH | O_DIRECTORY));
	int fd = openat(dir, "./dir/..//./file", O_RDONLY);

	if (fd < 0)
		TRY(syscall(SYS_openat2, dir, "/../file", &how, sizeof(how)));
	return 0;
}
