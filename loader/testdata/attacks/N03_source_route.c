/*
 * id: N03
 * tries: a loose source route, by socket option: packets go elsewhere first
 * role: webserver
 * control-role: admin
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	unsigned char route[] = { 131, 7, 4, 192, 0, 2, 1, 0 };
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));

	TRY(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route)));
	return 0;
}
