/*
 * id: N03
 * tries: a source route by control message, on a connected socket
 * role: webserver
 * control-role: admin
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	unsigned char route[] = { 131, 7, 4, 127, 0, 0, 1, 0 };
	char control[CMSG_SPACE(sizeof(route))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct sockaddr_storage to;
	socklen_t len = address(&to, "127.0.0.1", "8080");
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));

	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_RETOPTS;
	c->cmsg_len = CMSG_LEN(sizeof(route));
	memcpy(CMSG_DATA(c), route, sizeof(route));
	MUST(connect(fd, (void *)&to, len));
	TRY(sendmsg(fd, &msg, 0));
	return 0;
}
