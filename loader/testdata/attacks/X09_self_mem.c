/*
 * id: X09
 * tries: write over code of its own, which is mapped read-only, by /proc/self/mem
 * role: nojit
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	/* The first byte of this very function, which is done with it. */
	TRY(fd = open("/proc/self/mem", O_RDWR));
	TRY(pwrite(fd, "\xc3", 1, (off_t)(uintptr_t)attack));
	return *(volatile unsigned char *)attack == 0xc3 ? 0 : EIO;
}
