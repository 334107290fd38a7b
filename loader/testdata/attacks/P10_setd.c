/*
 * id: P10
 * tries: put another line discipline on a terminal
 * role: permissive
 * args: 0x5423
 * control: 0x5424
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int master = MUST(posix_openpt(O_RDWR | O_NOCTTY)), value = 0;

	TRY(ioctl(master, strtoul(argv[1], NULL, 0), &value)); /* TIOCSETD, TIOCGETD */
	return 0;
}
