/* SPDX-License-Identifier: MIT */
/*
 * No attack: asks the kernel what loader/network_vm_test.go asks the compiler. Reads lines
 * "PROTOCOL OPERATION ADDRESS PORT" and answers each with an errno.
 */
#include "attack.h"

static int probe(const char *protocol, const char *op, const char *host, const char *port)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, host, port);
	int one = 1, err = 0;
	int fd = MUST(socket(to.ss_family, *protocol == 't' ? SOCK_STREAM : SOCK_DGRAM, 0));

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!strcmp(op, "bind"))
		err = bind(fd, (void *)&to, len);
	else if (!strcmp(op, "connect"))
		err = connect(fd, (void *)&to, len);
	else
		err = sendto(fd, "x", 1, *protocol == 't' ? MSG_FASTOPEN : 0, (void *)&to, len) < 0;
	err = err ? errno : 0;
	close(fd);
	return err;
}

int attack(int argc, char **argv)
{
	char protocol[8], op[16], host[64], port[8];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%7s %15s %63s %7s", protocol, op, host, port) == 4)
		printf("%d\n", probe(protocol, op, host, port));
	return 0;
}
