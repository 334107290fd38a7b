/*
 * id: F52
 * tries: what a process outside the jail has open
 * role: permissive
 * args: parent fd/0
 * control: child fd/0
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/%s", target(argv[1]), argv[2]);
	TRY(readlink(path, text, sizeof(text)));
	return 0;
}
