/*
 * id: N22
 * tries: connect by io_uring
 * role: webserver
 * args: 0 127.0.0.1 9999
 * control: 0 127.0.0.1 8080
 * expect: EACCES
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct io_uring_sqe make = { .opcode = IORING_OP_SOCKET,
				     .fd = AF_INET,
				     .off = SOCK_STREAM };
	struct io_uring_sqe op = { .opcode = IORING_OP_CONNECT };
	unsigned int flags = atoi(argv[1]);
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[2], argv[3]);

	op.fd = uring_one(&make, flags);
	if (op.fd < 0)
		return errno;
	op.addr = (uintptr_t)&to;
	op.off = len;
	return uring_one(&op, flags) < 0 ? tolerate_refused(errno) : 0;
}
