/* SPDX-License-Identifier: MIT */
#ifndef URING_H
#define URING_H

#include "attack.h"
#include <linux/io_uring.h>

/* Submits one request and returns its result as a system call does. A personality in
 * the request is replaced with one that is registered for it. */
static inline int uring_one(struct io_uring_sqe *request, unsigned int flags)
{
	struct io_uring_params p = { .flags = flags, .sq_thread_idle = 1000 };
	int fd = MUST(syscall(SYS_io_uring_setup, 1, &p));
	char *rings = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
			   PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	struct io_uring_sqe *sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE,
					 MAP_SHARED, fd, IORING_OFF_SQES);
	volatile unsigned int *tail = (void *)(rings + p.cq_off.tail);
	struct io_uring_cqe *cqes = (void *)(rings + p.cq_off.cqes);

	if (rings == MAP_FAILED || sqes == MAP_FAILED)
		BROKEN("io_uring rings");
	if (request->personality)
		request->personality =
			MUST(syscall(SYS_io_uring_register, fd, IORING_REGISTER_PERSONALITY, 0, 0));
	*sqes = *request;
	*(unsigned int *)(rings + p.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(rings + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	MUST(syscall(SYS_io_uring_enter, fd, 1, 1,
		     IORING_ENTER_GETEVENTS |
			     (flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0),
		     NULL, 0));
	if (!*tail)
		BROKEN("io_uring gave no result");
	if (cqes[0].res >= 0)
		return cqes[0].res;
	errno = -cqes[0].res;
	return -1;
}

#endif
