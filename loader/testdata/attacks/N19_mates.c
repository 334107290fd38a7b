/*
 * id: N19
 * tries: stream and datagram sockets of another process in the jail, which are free
 * role: isolated
 * expect: 0
 */
#include "attack.h"

static int listener, datagrams;

static int client(void)
{
	struct sockaddr_un name;
	socklen_t len = sizeof(name);
	int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));

	MUST(getsockname(listener, (void *)&name, &len));
	TRY(connect(fd, (void *)&name, len));
	len = sizeof(name);
	MUST(getsockname(datagrams, (void *)&name, &len));
	fd = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
	TRY(sendto(fd, "x", 1, 0, (void *)&name, len));
	return 0;
}

int attack(int argc, char **argv)
{
	struct sockaddr_un none = { .sun_family = AF_UNIX };

	/* Bound by the kernel to abstract names. */
	listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	MUST(bind(listener, (void *)&none, sizeof(none.sun_family)));
	MUST(listen(listener, 1));
	datagrams = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
	MUST(bind(datagrams, (void *)&none, sizeof(none.sun_family)));
	return in_child(client);
}
