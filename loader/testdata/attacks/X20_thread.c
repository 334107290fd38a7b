/*
 * id: X20
 * tries: exec from a thread that is not the leader
 * role: webserver
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

static void *run(void *told)
{
	execl("/bin/true", "true", NULL);
	*(int *)told = errno;
	return NULL;
}

int attack(int argc, char **argv)
{
	pthread_t thread;
	int err = 0;

	if (pthread_create(&thread, NULL, run, &err))
		BROKEN("pthread_create");
	pthread_join(thread, NULL);
	return err;
}
