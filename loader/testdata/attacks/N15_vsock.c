/*
 * id: N15
 * tries: a socket to the host of a virtual machine
 * role: webserver
 * control-role: admin
 * expect: EACCES
 */
#include "attack.h"

static const struct {
	int family, type, protocol;
} kinds[] = {
	{ AF_VSOCK, SOCK_STREAM, 0 },
	{ AF_VSOCK, SOCK_DGRAM, 0 },
	{ AF_VSOCK, SOCK_SEQPACKET, 0 },
};

/* 0: none was refused for lack of permission; EACCES: all were. What the kernel lacks
 * counts as not refused. */
int attack(int argc, char **argv)
{
	size_t refused = 0, n = sizeof(kinds) / sizeof(*kinds);

	for (size_t i = 0; i < n; i++) {
		int fd = socket(kinds[i].family, kinds[i].type, kinds[i].protocol);

		if (fd >= 0)
			close(fd);
		else if (errno == EACCES)
			refused++;
		else
			continue;
		if (fd >= 0 && refused)
			fprintf(stderr, "kind %zu of family %d passed\n", i, kinds[i].family);
	}
	if (refused && refused < n)
		BROKEN("some were refused, some not");
	return refused ? EACCES : 0;
}
