/*
 * id: N22
 * tries: send a datagram by io_uring's sendmsg
 * role: webserver
 * args: 127.0.0.1 9999
 * control: 127.0.0.1 8080
 * expect: EACCES
 */
#include "attack.h"
#include "uring.h"

int attack(int argc, char **argv)
{
	struct iovec iov = { "x", 1 };
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &to, .msg_namelen = len
	};
	struct io_uring_sqe op = { .opcode = IORING_OP_SENDMSG };

	op.fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	op.addr = (uintptr_t)&msg;
	op.len = 1;
	TRY(uring_one(&op, 0));
	return 0;
}
