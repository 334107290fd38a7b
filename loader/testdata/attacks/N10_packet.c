/*
 * id: N10
 * tries: a packet socket
 * role: worker
 * control-role: permissive
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(socket(AF_PACKET, SOCK_RAW, 0));
	return 0;
}
