/* SPDX-License-Identifier: MIT */
/*
 * attacks NAME ARG...            run one attack
 * attacks -j ROLE[,ROLE...] NAME ARG...   the same in a jail: arm this thread, exec itself
 * attacks -l                     threads and children that are made in loops, until it is killed
 * attacks -m                     a child that shares its memory; prints the child's number
 *
 * Exit status: 0 it worked, 1..199 the errno, 200 the row is broken, 201 a child died,
 * 202 the jail could not be entered.
 */
#include "attack.h"
#include "../../../bpf/abi.h"

struct entry {
	const char *name;
	int (*fn)(int argc, char **argv);
};

#define ATTACK(name) int attack_##name(int argc, char **argv);
#include "list.h"
#undef ATTACK

static const struct entry table[] = {
#define ATTACK(name) { #name, attack_##name },
#include "list.h"
};

static int enter(char *roles, char **argv)
{
	int error;

	if (getuid() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return 202;
	for (char *r = strtok(roles, ","); r; r = strtok(NULL, ",")) {
		prctl(PRCTL_JAIL, PRCTL_ARM, atol(r), 0, 0);
		if (errno != PRCTL_OK) {
			fprintf(stderr, "arm %s: %d\n", r, errno);
			return 202;
		}
	}
	execv("/proc/self/exe", argv);
	error = errno;
	prctl(PRCTL_JAIL, PRCTL_REASON, 0, 0, 0);
	fprintf(stderr, "exec: %s, enum refusal %d\n", strerror(error), errno - PRCTL_REFUSED);
	return 202;
}

static void *nothing(void *unused)
{
	return NULL;
}

static void *make_threads(void *unused)
{
	for (;;) {
		pthread_t thread;

		if (!pthread_create(&thread, NULL, nothing, NULL))
			pthread_join(thread, NULL);
	}
	return NULL;
}

static void *make_children(void *unused)
{
	for (;;) {
		pid_t child = fork();

		/* each lives for a moment, and has a child of its own */
		if (!child) {
			if (!fork())
				for (int i = 0; i < 3; i++)
					usleep(20000);
			else
				wait(NULL);
			_exit(0);
		}
		if (child > 0)
			waitpid(child, NULL, 0);
	}
	return NULL;
}

static int pausing(void *unused)
{
	for (;;)
		pause();
	return 0;
}

static int share(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int child = clone(pausing, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

	if (child < 0 || dprintf(1, "%d\n", child) < 0)
		return 200;
	return pausing(NULL);
}

static int loop(void)
{
	pthread_t thread;

	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, make_threads, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread, NULL, make_children, NULL);
	if (write(1, "l", 1) != 1)
		return 200;
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "-l"))
		return loop();
	if (argc > 1 && !strcmp(argv[1], "-m"))
		return share();
	if (argc > 3 && !strcmp(argv[1], "-j")) {
		char *roles = argv[2];

		argv[2] = argv[0];
		return enter(roles, argv + 2);
	}
	for (size_t i = 0; argc > 1 && i < sizeof(table) / sizeof(*table); i++) {
		if (!strcmp(table[i].name, argv[1]))
			return table[i].fn(argc - 1, argv + 1);
	}
	fprintf(stderr, "no such attack\n");
	return 200;
}
