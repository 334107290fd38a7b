/*
 * id: N12
 * tries: SCTP of both styles
 * role: webserver
 * control-role: admin
 * expect: EACCES
 */
#include "attack.h"

static const struct kind kinds[] = {
	{ AF_INET, SOCK_STREAM, IPPROTO_SCTP },
	{ AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP },
	{ AF_INET6, SOCK_STREAM, IPPROTO_SCTP },
};

int attack(int argc, char **argv)
{
	return try_kinds(kinds, sizeof(kinds) / sizeof(*kinds));
}
