/*
 * id: X05
 * tries: map a file to read with READ_IMPLIES_EXEC
 * role: nojit
 * args: /tmp/data
 * control: /tmp/code
 * expect: EACCES
 */
#include "attack.h"

#include <sys/personality.h>

int attack(int argc, char **argv)
{
	int fd = open(argv[1], O_RDONLY);

	if (fd < 0)
		return 200;
	MUST(personality(READ_IMPLIES_EXEC));
	if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		return errno;
	return 0;
}
