/*
 * id: E01
 * tries: connect from a child made by fork, vfork, clone3, CLONE_VM, CLONE_PARENT, double fork
 * role: isolated
 * control-role: permissive
 * expect: EACCES
 */
#include "attack.h"
#include <linux/sched.h>

static int try(void)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, "127.0.0.1", "9999");
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));

	TRY(connect(fd, (void *)&to, len));
	return 0;
}

static int twice(void)
{
	if (setsid() < 0)
		return 200;
	return in_child(try);
}

static int entry(void *unused)
{
	return try();
}

static int cloned(int flags)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	int status;
	pid_t pid = MUST(clone(entry, stack + sizeof(stack), flags | SIGCHLD, NULL));

	MUST(waitpid(pid, &status, __WALL));
	return WEXITSTATUS(status);
}

static int clone3_child(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t pid = MUST(syscall(SYS_clone3, &args, sizeof(args)));
	int status;

	if (!pid)
		_exit(try());
	MUST(waitpid(pid, &status, 0));
	return WEXITSTATUS(status);
}

static void *threaded(void *told)
{
	*(int *)told = try();
	return NULL;
}

int attack(int argc, char **argv)
{
	int got[6];
	pthread_t thread;

	got[0] = in_child(try);
	got[1] = in_child(twice);
	got[2] = cloned(0);
	got[3] = cloned(CLONE_VM | CLONE_VFORK);
	got[4] = clone3_child();
	if (pthread_create(&thread, NULL, threaded, &got[5]))
		BROKEN("pthread_create");
	pthread_join(thread, NULL);
	for (int i = 1; i < 6; i++) {
		if (got[i] != got[0]) {
			fprintf(stderr, "way %d: %d, fork: %d\n", i, got[i], got[0]);
			return 200;
		}
	}
	return got[0];
}
