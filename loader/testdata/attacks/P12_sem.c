/*
 * id: P12
 * tries: change a semaphore that somebody outside made
 * role: permissive
 * args: outside
 * control: own
 * expect: EACCES
 */
#include "attack.h"

#include <sys/sem.h>

int attack(int argc, char **argv)
{
	int own = !strcmp(argv[1], "own"), id;
	struct sembuf up = { 0, 1, IPC_NOWAIT };

	id = semget(own ? IPC_PRIVATE : 0x6a61, 1, 0666 | (own ? IPC_CREAT : 0));
	if (id < 0)
		return errno == ENOENT ? 200 : errno;
	TRY(semop(id, &up, 1));
	if (own)
		MUST(semctl(id, 0, IPC_RMID));
	return 0;
}
