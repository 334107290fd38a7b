/* SPDX-License-Identifier: MIT */
/*
 * One attack is one file with a header comment that the harness reads
 * (loader/attack_vm_test.go) and one function, attack(). It tries one operation and
 * returns 0 when that worked, else the errno: TRY() does both.
 */
#ifndef ATTACK_H
#define ATTACK_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns the errno from attack() when the call fails. */
#define TRY(call)                                                                                  \
	do {                                                                                       \
		if ((long)(call) < 0)                                                              \
			return errno;                                                              \
	} while (0)

/* For set-up that must not fail: the row is broken, not the jail. */
#define MUST(call)                                                                                 \
	({                                                                                         \
		long must_ = (long)(call);                                                         \
		if (must_ < 0) {                                                                   \
			fprintf(stderr, "%s: %s\n", #call, strerror(errno));                       \
			exit(200);                                                                 \
		}                                                                                  \
		must_;                                                                             \
	})

/* Leaves the harness with status 200: a broken row. */
#define BROKEN(text)                                                                               \
	do {                                                                                       \
		fprintf(stderr, "%s\n", (text));                                                   \
		exit(200);                                                                         \
	} while (0)

/* An IPv4 or IPv6 address with port, as argv gives them. */
static inline socklen_t address(struct sockaddr_storage *to, const char *host, const char *port)
{
	struct sockaddr_in *in4 = (void *)to;
	struct sockaddr_in6 *in6 = (void *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(atoi(port));
		return sizeof(*in4);
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		BROKEN("bad address");
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(atoi(port));
	return sizeof(*in6);
}

/* The address of a UNIX socket: a path, or @ and an abstract name. */
static inline socklen_t unix_address(struct sockaddr_un *to, const char *name)
{
	size_t len = strlen(name);

	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, name, len);
	if (*name != '@')
		return sizeof(*to);
	to->sun_path[0] = 0;
	return offsetof(struct sockaddr_un, sun_path) + len;
}

/* A connection that nobody answers was still allowed. */
static inline int tolerate_refused(int err)
{
	return err == ECONNREFUSED || err == EINPROGRESS ? 0 : err;
}

/* Runs fn in a child and returns what it returned. */
static inline int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = MUST(fork());

	if (!pid)
		_exit(fn());
	MUST(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 201;
}

/* The process to act on: "parent" is outside the jail, "child" is one of our own. */
static inline pid_t target(const char *who)
{
	pid_t pid, self = getpid();

	if (!strcmp(who, "parent"))
		return getppid();
	pid = MUST(fork());
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == self)
			pause();
		_exit(0);
	}
	return pid;
}

/* A kind of socket. */
struct kind {
	int family, type, protocol;
};

/* 0: none was refused for lack of permission; EACCES: all were. What the kernel lacks
 * counts as not refused. */
static inline int try_kinds(const struct kind *kinds, size_t n)
{
	size_t refused = 0;

	for (size_t i = 0; i < n; i++) {
		int fd = socket(kinds[i].family, kinds[i].type, kinds[i].protocol);

		if (fd >= 0)
			close(fd);
		else if (errno == EACCES)
			refused++;
		else
			continue;
		if (fd >= 0 && refused)
			fprintf(stderr, "kind %zu of family %d passed\n", i, kinds[i].family);
	}
	if (refused && refused < n)
		BROKEN("some were refused, some not");
	return refused ? EACCES : 0;
}

#endif
