/*
 * id: E00
 * tries: nothing: it stays until it is killed; with an argument it ends at once
 * role: worker
 * args: once
 * expect: 0
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	if (argc == 1)
		pause();
	return 0;
}
