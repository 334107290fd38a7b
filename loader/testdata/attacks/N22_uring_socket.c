/*
 * id: N22
 * tries: make a raw socket by io_uring
 * role: webserver
 * control-role: admin
 * expect: EACCES
 * as: root
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct io_uring_sqe op = {
		.opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_RAW, .len = IPPROTO_ICMP
	};

	TRY(uring_one(&op, 0));
	return 0;
}
