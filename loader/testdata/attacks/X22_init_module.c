/*
 * id: X22
 * tries: load a module from memory
 * role: permissive
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	static char image[4096];

	if (syscall(SYS_init_module, image, sizeof(image), "") < 0 && errno == EPERM)
		return EPERM;
	return 0;
}
