/* SPDX-License-Identifier: MIT */
#ifndef COMPAT_H
#define COMPAT_H

#include "attack.h"

/* ioctl by the 32-bit interface; 4 bytes at `data` go in. Returns the errno. */
static inline int compat_ioctl(int fd, unsigned int cmd, const char *data)
{
	long ret;
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (low == MAP_FAILED)
		BROKEN("no memory below 4 GiB");
	memcpy(low, data, 4);
	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(54 /* ioctl */), "b"((long)fd), "c"((long)cmd), "d"(low)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret < 0 ? -(int)ret : 0;
}

#endif
