/*
 * id: X22
 * tries: have the kernel load a module, by a socket of a family that is none
 * role: no_modules
 * control-role: admin
 * expect: EPERM
 */
#include "autoload.h"

int attack(int argc, char **argv)
{
	unlink(MODPROBE_RAN);
	socket(AF_APPLETALK, SOCK_DGRAM, 0);
	return module_requested();
}
