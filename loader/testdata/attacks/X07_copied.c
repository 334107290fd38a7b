/*
 * id: X07
 * tries: change a page of a file that may be code, then run it
 * role: nojit
 * args: written
 * control: read
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = open("/tmp/code", O_RDONLY);
	volatile char *at;

	if (fd < 0)
		return 200;
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return 200;
	if (!strcmp(argv[1], "written"))
		*at = (char)0xc3;
	TRY(mprotect((void *)at, 4096, PROT_READ | PROT_EXEC));
	return 0;
}
