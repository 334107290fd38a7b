/*
 * id: N14
 * tries: every family and protocol that is neither TCP, UDP, UNIX nor netlink's routes
 * role: webserver
 * control-role: admin
 * expect: EACCES
 */
#include "attack.h"

static const struct {
	int family, type, protocol;
} kinds[] = {
	{ AF_INET, SOCK_DCCP, IPPROTO_DCCP },
	{ AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ AF_INET, SOCK_STREAM, 256 }, /* SMC */
	{ AF_INET, SOCK_DGRAM, 115 },  /* L2TP */
	{ AF_AX25, SOCK_DGRAM, 0 },
	{ AF_RDS, SOCK_SEQPACKET, 0 },
	{ AF_LLC, SOCK_STREAM, 0 },
	{ AF_CAN, SOCK_RAW, 1 },
	{ AF_TIPC, SOCK_STREAM, 0 },
	{ AF_BLUETOOTH, SOCK_STREAM, 3 },
	{ AF_RXRPC, SOCK_DGRAM, AF_INET },
	{ AF_ALG, SOCK_SEQPACKET, 0 },
	{ AF_NFC, SOCK_SEQPACKET, 0 },
	{ AF_KCM, SOCK_DGRAM, 0 },
	{ AF_QIPCRTR, SOCK_DGRAM, 0 },
	{ AF_SMC, SOCK_STREAM, 0 },
	{ AF_XDP, SOCK_RAW, 0 },
	{ AF_KEY, SOCK_RAW, 2 },
	{ AF_PPPOX, SOCK_STREAM, 0 },
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
