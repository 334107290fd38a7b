/*
 * id: F40
 * tries: receive a descriptor by SCM_RIGHTS from a process outside
 * role: files
 * args: /run/jail-test/hidden
 * control: /run/jail-test/open
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char byte, space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { &byte, 1 };
	struct msghdr m = { .msg_iov = &data,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof(space) };
	int s = MUST(socket(AF_UNIX, SOCK_STREAM, 0));

	strcpy(to.sun_path, argv[1]);
	MUST(connect(s, (void *)&to, sizeof(to)));
	TRY(recvmsg(s, &m, 0));
	/* What is refused is left out of the message. */
	return CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_len > CMSG_LEN(0) ? 0 : EACCES;
}
