/*
 * id: P10
 * tries: put a keystroke into a terminal
 * role: permissive
 * args: 0x5412
 * control: 0x5413
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int master = MUST(posix_openpt(O_RDWR | O_NOCTTY)), slave;

	MUST(grantpt(master) | unlockpt(master));
	setsid();
	slave = MUST(open(ptsname(master), O_RDWR)); /* becomes the controlling terminal */
	/* EIO: the sysctl legacy_tiocsti is off, and nobody else had an objection. */
	if (ioctl(slave, strtoul(argv[1], NULL, 0), (char[64]){ "x" }) < 0 && errno != EIO &&
	    errno != ENOTTY)
		return errno;
	return 0;
}
