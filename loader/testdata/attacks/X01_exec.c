/*
 * id: X01
 * tries: exec from a role without exec
 * role: webserver
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(execl("/bin/true", "true", NULL));
	return 0;
}
