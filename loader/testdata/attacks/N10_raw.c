/*
 * id: N10
 * tries: a raw socket
 * role: webserver
 * control-role: permissive
 * args: 3 1
 * expect: EACCES
 * as: root
 */
#include "attack.h"

/* argv: type protocol */
int attack(int argc, char **argv)
{
	TRY(socket(AF_INET, atoi(argv[1]), atoi(argv[2])));
	return 0;
}
