/*
 * id: P14
 * tries: open the path of modprobe for writing
 * role: permissive
 * args: /proc/sys/kernel/modprobe
 * control: /proc/sys/net/ipv4/ip_forward
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_WRONLY));
	return 0;
}
