/*
 * id: F46
 * tries: io_uring request under registered credentials
 * role: files
 * args: registered
 * control: plain
 * expect: EPERM
 * tree: yes
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct io_uring_sqe sqe = { 0 };

	sqe.opcode = IORING_OP_NOP;
	if (!strcmp(argv[1], "registered"))
		sqe.personality = 1;
	TRY(uring_one(&sqe, 0));
	return 0;
}
