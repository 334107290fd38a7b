/*
 * id: S09
 * tries: ask for a reboot's powers: have Ctrl-Alt-Del end in a signal
 * role: permissive
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <sys/reboot.h>

int attack(int argc, char **argv)
{
	TRY(reboot(RB_DISABLE_CAD));
	return 0;
}
