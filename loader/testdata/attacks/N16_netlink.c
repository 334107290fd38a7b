/*
 * id: N16
 * tries: a netlink protocol beyond route
 * role: webserver
 * args: 16
 * control: 0
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(socket(AF_NETLINK, SOCK_RAW, atoi(argv[1])));
	return 0;
}
