/*
 * id: X07
 * tries: map memory that can be written and run
 * role: nojit
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0) == MAP_FAILED)
		return errno;
	return 0;
}
