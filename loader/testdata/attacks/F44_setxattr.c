/*
 * id: F44
 * tries: io_uring setxattr
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

	sqe.opcode = IORING_OP_SETXATTR;
	sqe.addr = (uintptr_t)"user.test";
	sqe.off = (uintptr_t)"x";
	sqe.len = 1;
	sqe.addr3 = (uintptr_t)argv[1];
	TRY(uring_one(&sqe, 0));
	return 0;
}
