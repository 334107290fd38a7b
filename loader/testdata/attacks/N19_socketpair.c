/*
 * id: N19
 * tries: a datagram socketpair, which is free
 * role: restricted
 * expect: 0
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	TRY(send(pair[0], "x", 1, 0));
	return 0;
}
