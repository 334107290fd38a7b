/*
 * id: N22
 * tries: listen by io_uring on a socket that has no port yet, which gives it one
 * role: webserver
 * control-role: permissive
 * expect: EACCES
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct io_uring_sqe op = { .opcode = 57 /* IORING_OP_LISTEN, since 6.11 */, .len = 1 };

	op.fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	if (!uring_one(&op, 0))
		return 0;
	if (errno == EINVAL) /* not in this kernel: then by the system call */
		TRY(listen(op.fd, 1));
	else
		return errno;
	return 0;
}
