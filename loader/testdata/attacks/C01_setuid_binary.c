/*
 * id: C01
 * tries: exec of a set-user-ID program
 * role: worker
 * args: /usr/bin/su
 * control: /bin/true
 * expect: EPERM
 * as: user
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(execl(argv[1], argv[1], "--version", NULL));
	return 0;
}
