/*
 * id: X03
 * tries: map a memfd as code
 * role: worker
 * control-role: permissive
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = MUST(memfd_create("code", 0));

	MUST(ftruncate(fd, 4096));
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		return errno;
	return 0;
}
