/*
 * id: N20
 * tries: receive a connected TCP socket from a process outside, over an allowed UNIX socket
 * role: sockets
 * args: d
 * control: a
 * expect: EACCES
 */
#include "attack.h"

/* The server of the harness sends the socket that the letter names. */
int attack(int argc, char **argv)
{
	char data, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &data, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct sockaddr_un to;
	socklen_t len = unix_address(&to, "/run/jail-test/ok-giver");
	int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));

	MUST(connect(fd, (void *)&to, len));
	MUST(write(fd, argv[1], 1));
	MUST(recvmsg(fd, &msg, 0));
	/* A descriptor that is refused is left out of the message. */
	return CMSG_FIRSTHDR(&msg) ? 0 : EACCES;
}
