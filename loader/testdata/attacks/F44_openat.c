/*
 * id: F44
 * tries: io_uring openat
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct io_uring_sqe sqe = { 0 };

	sqe.opcode = IORING_OP_OPENAT;
	sqe.fd = AT_FDCWD;
	sqe.addr = (uintptr_t)argv[1];
	sqe.open_flags = O_RDWR;
	TRY(uring_one(&sqe, 0));
	return 0;
}
