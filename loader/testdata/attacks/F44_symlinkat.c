/*
 * id: F44
 * tries: io_uring symlinkat
 * role: files
 * args: /srv/jail/ro/new
 * control: /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct io_uring_sqe sqe = { 0 };

	sqe.opcode = IORING_OP_SYMLINKAT;
	sqe.fd = AT_FDCWD;
	sqe.addr = (uintptr_t)"target";
	sqe.off = (uintptr_t)argv[1];
	TRY(uring_one(&sqe, 0));
	return 0;
}
