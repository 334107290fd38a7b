/*
 * id: N24
 * tries: open the device that takes written bytes for packets
 * role: files
 * control-role: admin
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	if (open("/dev/net/tun", O_RDWR) >= 0)
		return 0;
	/* ENODEV: allowed, and its module is not loaded */
	return errno == ENODEV || errno == ENXIO ? 0 : errno;
}
