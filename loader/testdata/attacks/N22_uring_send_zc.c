/*
 * id: N22
 * tries: send a datagram by io_uring without a copy
 * role: webserver
 * args: 127.0.0.1 9999
 * control: 127.0.0.1 8080
 * expect: EACCES
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	struct io_uring_sqe op = { .opcode = IORING_OP_SEND_ZC, .len = 1, .addr_len = len };

	op.fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	op.addr = (uintptr_t)"x";
	op.addr2 = (uintptr_t)&to;
	TRY(uring_one(&op, 0));
	return 0;
}
