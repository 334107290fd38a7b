/*
 * id: N15
 * tries: a socket to the host of a virtual machine
 * role: webserver
 * control-role: admin
 * expect: EACCES
 */
#include "attack.h"

static const struct kind kinds[] = {
	{ AF_VSOCK, SOCK_STREAM, 0 },
	{ AF_VSOCK, SOCK_DGRAM, 0 },
	{ AF_VSOCK, SOCK_SEQPACKET, 0 },
};

int attack(int argc, char **argv)
{
	return try_kinds(kinds, sizeof(kinds) / sizeof(*kinds));
}
