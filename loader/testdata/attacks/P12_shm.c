/*
 * id: P12
 * tries: attach shared memory that somebody outside made
 * role: permissive
 * args: outside
 * control: own
 * expect: EACCES
 */
#include "attack.h"

#include <sys/shm.h>

/* Left by the unjailed run before, or made here. */
int attack(int argc, char **argv)
{
	int own = !strcmp(argv[1], "own"), id;
	key_t key = own ? IPC_PRIVATE : 0x6a61;

	id = shmget(key, 4096, 0666 | (own ? IPC_CREAT : 0));
	if (id < 0)
		return errno == ENOENT ? 200 : errno;
	if (shmat(id, NULL, 0) == (void *)-1)
		return errno;
	if (own)
		shmctl(id, IPC_RMID, NULL);
	return 0;
}
