/*
 * id: N14
 * tries: every family and protocol that is neither TCP, UDP, UNIX nor netlink's routes
 * role: webserver
 * control-role: admin
 * expect: EACCES
 */
#include "attack.h"

static const struct kind kinds[] = {
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

int attack(int argc, char **argv)
{
	return try_kinds(kinds, sizeof(kinds) / sizeof(*kinds));
}
