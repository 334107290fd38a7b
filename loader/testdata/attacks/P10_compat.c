/*
 * id: P10
 * tries: put a keystroke into a terminal, by a call of the 32-bit kind
 * role: permissive
 * args: 0x5412
 * control: 0x5413
 * expect: EPERM
 */
#include "compat.h"

int attack(int argc, char **argv)
{
	int master = MUST(posix_openpt(O_RDWR | O_NOCTTY)), slave, err;

	MUST(grantpt(master) | unlockpt(master));
	setsid();
	slave = MUST(open(ptsname(master), O_RDWR)); /* becomes the controlling terminal */
	err = compat_ioctl(slave, strtoul(argv[1], NULL, 0), "x\0\0");
	return err == EIO ? 0 : err; /* the sysctl legacy_tiocsti is off */
}
