/*
 * id: N22
 * tries: connect by io_uring
 * role: webserver
 * args: 0 127.0.0.1 9999
 * control: 0 127.0.0.1 8080
 * expect: EACCES
 */
#include "attack.h"

#include <linux/io_uring.h>

/* A ring of one entry, and one operation on it. Returns what the operation returned. */
static int uring(unsigned int flags, const struct io_uring_sqe *op)
{
	struct io_uring_params p = { .flags = flags };
	int fd = MUST(syscall(__NR_io_uring_setup, 4, &p));
	char *sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED,
			fd, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
			PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE,
					 MAP_SHARED, fd, IORING_OFF_SQES);
	struct io_uring_cqe *cqe;

	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		BROKEN("no ring");
	sqes[0] = *op;
	*(unsigned int *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	MUST(syscall(__NR_io_uring_enter, fd, 1, 1,
		     IORING_ENTER_GETEVENTS |
			     (flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0),
		     NULL, 0));
	cqe = (void *)(cq + p.cq_off.cqes);
	return cqe->res;
}

int attack(int argc, char **argv)
{
	struct io_uring_sqe make = { .opcode = IORING_OP_SOCKET,
				     .fd = AF_INET,
				     .off = SOCK_STREAM };
	struct io_uring_sqe op = { .opcode = IORING_OP_CONNECT };
	unsigned int flags = atoi(argv[1]);
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[2], argv[3]);
	int res;

	op.fd = uring(flags, &make);
	if (op.fd < 0)
		return -op.fd;
	op.addr = (uintptr_t)&to;
	op.off = len;
	res = uring(flags, &op);
	return res < 0 ? tolerate_refused(-res) : 0;
}
