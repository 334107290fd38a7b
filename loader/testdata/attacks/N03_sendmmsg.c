/*
 * id: N03
 * tries: sendmmsg, the second message to a port outside the role
 * role: webserver
 * args: 127.0.0.1 9999
 * control: 127.0.0.1 443
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage good, to;
	socklen_t len = address(&to, argv[1], argv[2]);
	struct iovec iov = { "x", 1 };
	struct mmsghdr m[2] = {};
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	int n;

	address(&good, "127.0.0.1", "8080");
	m[0].msg_hdr = (struct msghdr){
		.msg_name = &good, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1
	};
	m[1].msg_hdr = (struct msghdr){
		.msg_name = &to, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1
	};
	TRY(n = sendmmsg(fd, m, 2, 0));
	if (n == 2)
		return 0;
	/* The second failed: the next call tells how. */
	TRY(sendmmsg(fd, m + 1, 1, 0));
	return 0;
}
