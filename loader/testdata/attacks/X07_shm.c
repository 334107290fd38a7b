/*
 * id: X07
 * tries: attach shared memory as code
 * role: worker
 * args: 0100000
 * control: 0
 * expect: EACCES
 */
#include "attack.h"

#include <sys/shm.h>

int attack(int argc, char **argv)
{
	int id = MUST(shmget(IPC_PRIVATE, 4096, 0700 | IPC_CREAT)), err = 0;

	if (shmat(id, NULL, strtoul(argv[1], NULL, 0)) == (void *)-1) /* SHM_EXEC */
		err = errno;
	MUST(shmctl(id, IPC_RMID, NULL));
	return err;
}
