/*
 * id: S04
 * tries: a descriptor of each program by its id, in a role that allows bpf(2)
 * role: admin
 * args: 13
 * control: 11
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	__attribute__((aligned(8))) unsigned int attr[32];
	unsigned int id = 0, get = atoi(argv[1]);

	for (;;) {
		memset(attr, 0, sizeof(attr));
		attr[0] = id;
		if (syscall(SYS_bpf, 11 /* PROG_GET_NEXT_ID */, attr, sizeof(attr)) < 0)
			return errno == ENOENT ? 0 : errno;
		id = attr[1];
		if (get == 11)
			continue;
		memset(attr, 0, sizeof(attr));
		attr[0] = id;
		TRY(syscall(SYS_bpf, get, attr, sizeof(attr)));
	}
}
