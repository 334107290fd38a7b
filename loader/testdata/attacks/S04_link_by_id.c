/*
 * id: S04
 * tries: a descriptor of each link by its id, in a role that allows bpf(2)
 * role: admin
 * args: 30
 * control: 12
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	__attribute__((aligned(8))) unsigned int attr[32];
	unsigned int id = 0, next = atoi(argv[1]);

	/* LINK_GET_FD_BY_ID after LINK_GET_NEXT_ID; nothing after MAP_GET_NEXT_ID */
	for (;;) {
		memset(attr, 0, sizeof(attr));
		attr[0] = id;
		if (syscall(SYS_bpf, next == 30 ? 31 : 12, attr, sizeof(attr)) < 0)
			return errno == ENOENT ? 0 : errno;
		id = attr[1];
		if (next != 30)
			continue;
		memset(attr, 0, sizeof(attr));
		attr[0] = id;
		TRY(syscall(SYS_bpf, 30, attr, sizeof(attr)));
	}
}
