/*
 * id: P12
 * tries: look at shared memory of others by its index, which asks for no permission
 * role: permissive
 * args: 15
 * control: 14
 * expect: EACCES
 */
#include "attack.h"

#include <sys/shm.h>

int attack(int argc, char **argv)
{
	struct shmid_ds ds;

	/* SHM_STAT_ANY of the first object; SHM_INFO is about none. */
	TRY(shmctl(0, atoi(argv[1]), &ds));
	return 0;
}
