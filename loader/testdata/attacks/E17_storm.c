/*
 * id: E17
 * tries: a storm of forks, and opens of a denied file meanwhile: one success is enough
 * role: worker-nofiles
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

static int opener(void)
{
	for (int i = 0; i < 20000; i++) {
		int fd = open("/etc/hostname", O_RDONLY);

		if (fd >= 0) {
			close(fd);
			return 1;
		}
		if (errno != EACCES)
			return 2;
	}
	return 0;
}

static void forker(void)
{
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

int attack(int argc, char **argv)
{
	pid_t forkers[4], openers[4];
	int leaked = 0, status;

	for (int i = 0; i < 4; i++) {
		forkers[i] = MUST(fork());
		if (!forkers[i])
			forker();
	}
	for (int i = 0; i < 4; i++) {
		openers[i] = MUST(fork());
		if (!openers[i])
			_exit(opener());
	}
	for (int i = 0; i < 4; i++) {
		MUST(waitpid(openers[i], &status, 0));
		leaked += status != 0;
	}
	for (int i = 0; i < 4; i++) {
		kill(forkers[i], SIGKILL);
		waitpid(forkers[i], NULL, 0);
	}
	return leaked ? 0 : EACCES;
}
