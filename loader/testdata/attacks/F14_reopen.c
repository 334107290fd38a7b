/*
 * id: F14
 * tries: O_PATH of a denied file, then open /proc/self/fd/N
 * role: restricted
 * args: /etc/passwd
 * control: /dev/null
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[64];
	int fd = MUST(open(argv[1], O_PATH));

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(open(path, O_RDONLY));
	return 0;
}
