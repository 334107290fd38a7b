/*
 * id: X22
 * tries: have the kernel load a module, by the type of a file system that is none
 * role: no_modules
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "autoload.h"

int attack(int argc, char **argv)
{
	unlink(MODPROBE_RAN);
	mount("none", "/mnt", "jailtestfs", 0, NULL);
	return module_requested();
}
