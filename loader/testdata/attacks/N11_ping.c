/*
 * id: N11
 * tries: an ICMP socket of the kind that ping uses without privilege
 * role: webserver
 * control-role: admin
 * expect: EACCES
 */
#include "attack.h"

static const struct kind kinds[] = {
	{ AF_INET, SOCK_DGRAM, IPPROTO_ICMP },
	{ AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 },
};

int attack(int argc, char **argv)
{
	return try_kinds(kinds, sizeof(kinds) / sizeof(*kinds));
}
