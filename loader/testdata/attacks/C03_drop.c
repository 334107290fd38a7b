/*
 * id: C03
 * tries: give up root and come back to the saved uid 0: both stay allowed
 * role: webserver
 * expect: 0
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	gid_t group = 33;

	TRY(setgroups(1, &group));
	TRY(setresgid(33, 33, 33));
	TRY(setresuid(33, 33, 0));
	TRY(setresuid(-1, 0, -1));
	TRY(setresuid(33, 33, 33));
	return 0;
}
