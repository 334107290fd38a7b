/*
 * id: X06
 * tries: make a mapping of a file executable that was mapped to read
 * role: nojit
 * args: /tmp/data
 * control: /tmp/code
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = open(argv[1], O_RDONLY);
	void *at;

	if (fd < 0)
		return 200;
	at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return 200;
	TRY(mprotect(at, 4096, PROT_READ | PROT_EXEC));
	return 0;
}
