/*
 * id: X05
 * tries: map a file as code that it may only read
 * role: nojit
 * args: /tmp/data
 * control: /tmp/code
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = open(argv[1], O_RDONLY);

	if (fd < 0)
		return 200;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		return errno;
	return 0;
}
