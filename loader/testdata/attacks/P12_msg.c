/*
 * id: P12
 * tries: send to a message queue that somebody outside made
 * role: permissive
 * args: outside
 * control: own
 * expect: EACCES
 */
#include "attack.h"

#include <sys/msg.h>

int attack(int argc, char **argv)
{
	int own = !strcmp(argv[1], "own"), id;
	struct {
		long type;
		char text[1];
	} m = { 1, "x" };

	id = msgget(own ? IPC_PRIVATE : 0x6a61, 0666 | (own ? IPC_CREAT : 0));
	if (id < 0)
		return errno == ENOENT ? 200 : errno;
	TRY(msgsnd(id, &m, 1, IPC_NOWAIT));
	MUST(msgrcv(id, &m, 1, 0, IPC_NOWAIT));
	if (own)
		MUST(msgctl(id, IPC_RMID, NULL));
	return 0;
}
