/* SPDX-License-Identifier: MIT */
/*
 * attacks NAME ARG...            run one attack
 * attacks -j ROLE[,ROLE...] NAME ARG...   the same in a jail: arm this thread, exec itself
 * attacks -l                     threads and children that are made in loops, until it is killed
 * attacks -t N ALLOWED DENIED [PROGRAM]   threads that open both files when told; see threads()
 * attacks -w N DENIED FLAG       threads, new ones and children that open the file all the time
 * attacks -o ALLOWED DENIED      opens both, once
 * attacks -p                     the same, with pauses
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

static int pauses;

static void *make_threads(void *unused)
{
	for (;;) {
		pthread_t thread;

		if (pauses)
			usleep(2000);
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

/* ---- threads of a process that is moved ---- */

enum {
	TRIES = 200, /* memory may be short for a moment */
};

static const char *allowed, *denied, *program;
static pthread_barrier_t together;

static int opened(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Prints the two errnos, and how often it took to open what is allowed. */
static void show_opens(const char *who)
{
	int no = opened(denied), yes = 0, n = 0;
	char line[64];

	for (; n < TRIES && (yes = opened(allowed)); n++)
		usleep(1000);
	snprintf(line, sizeof(line), "%s %d %d %d\n", who, no, yes, n);
	write(1, line, strlen(line));
}

static int child_shows(void)
{
	pid_t child;

	for (int n = 0; n < TRIES; n++) {
		child = fork();
		if (!child) {
			show_opens("child");
			_exit(0);
		}
		if (child > 0)
			return waitpid(child, NULL, 0);
		usleep(1000);
	}
	return write(1, "none 0 0 0\n", 11);
}

/* Each thread reads a byte: 'o' opens, 'f' lets a child open, 'x' lets another program, and
 * 'p' opens when PROGRAM could not be executed. */
static void *obey(void *unused)
{
	char order;

	for (;;) {
		if (read(0, &order, 1) != 1)
			_exit(0);
		if (order == 'f')
			child_shows();
		if (order == 'x')
			execl("/proc/self/exe", "attacks", "-o", allowed, denied, NULL);
		if (order == 'p')
			execl(program, program, NULL);
		show_opens("thread");
		pthread_barrier_wait(&together);
	}
	return NULL;
}

/* So many threads, the first one included, or with 'e' before the number gone. */
static int threads(const char *number, void *(*run)(void *))
{
	int n = atoi(number + (*number == 'e')), first = *number != 'e';
	pthread_attr_t small;
	pthread_t thread;

	pthread_barrier_init(&together, NULL, n);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (int i = first; i < n; i++)
		MUST(-pthread_create(&thread, &small, run, NULL));
	MUST(write(1, "ready\n", 6));
	if (!first)
		pthread_exit(NULL);
	run(NULL);
	for (;;)
		pause();
}

static volatile int *flag; /* 1: it was moved; 2: the end */
static int escapes, tries;

static void *try_once(void *unused)
{
	int moved = *flag;

	if (!opened(denied) && moved == 1)
		__sync_fetch_and_add(&escapes, 1);
	if (moved == 1)
		__sync_fetch_and_add(&tries, 1);
	return NULL;
}

static void *try_on(void *unused)
{
	pthread_t thread;
	int status;

	while (*flag < 2) {
		int moved = *flag;
		pid_t child;

		try_once(NULL);
		if (!pthread_create(&thread, NULL, try_once, NULL))
			pthread_join(thread, NULL);
		child = fork();
		if (!child)
			_exit(opened(denied) != 0);
		if (child > 0 && waitpid(child, &status, 0) == child && !status && moved == 1)
			__sync_fetch_and_add(&escapes, 1);
	}
	if (!pthread_barrier_wait(&together))
		return NULL;
	printf("%d %d\n", escapes, tries);
	exit(0);
}

int main(int argc, char **argv)
{
	if (argc > 4 && !strcmp(argv[1], "-t")) {
		allowed = argv[3];
		denied = argv[4];
		program = argv[5];
		return threads(argv[2], obey);
	}
	if (argc > 4 && !strcmp(argv[1], "-w")) {
		int fd = MUST(open(argv[4], O_RDWR));

		denied = argv[3];
		flag = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		MUST((long)flag);
		return threads(argv[2], try_on);
	}
	if (argc > 3 && !strcmp(argv[1], "-o")) {
		allowed = argv[2];
		denied = argv[3];
		show_opens("exec");
		return 0;
	}
	pauses = argc > 1 && !strcmp(argv[1], "-p");
	if (pauses || (argc > 1 && !strcmp(argv[1], "-l")))
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
