/*
 * id: N22
 * tries: bind by io_uring
 * role: webserver
 * args: 127.0.0.1 9998
 * control: 127.0.0.1 8080
 * expect: EACCES
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	struct io_uring_sqe op = { .opcode = 56 /* IORING_OP_BIND, since 6.11 */, .addr2 = len };
	int one = 1;

	op.fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	op.addr = (uintptr_t)&to;
	MUST(setsockopt(op.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	if (!uring_one(&op, 0))
		return 0;
	if (errno == EINVAL) /* not in this kernel: then by the system call */
		TRY(bind(op.fd, (void *)&to, len));
	else
		return errno;
	return 0;
}
