/*
 * id: X07
 * tries: run memory that it wrote
 * role: nojit
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return 200;
	*(char *)at = (char)0xc3;
	TRY(mprotect(at, 4096, PROT_READ | PROT_EXEC));
	return 0;
}
