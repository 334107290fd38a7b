/*
 * id: S01
 * tries: a descriptor of each map by its id, in a role that allows bpf(2)
 * role: admin
 * args: all
 * control: own
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	__attribute__((aligned(8))) unsigned int attr[32] = { 2 /* array */, 4, 4, 1 };
	unsigned int id = 0;

	if (!strcmp(argv[1], "own")) {
		TRY(syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, attr, sizeof(attr)));
		return 0;
	}
	for (;;) {
		memset(attr, 0, sizeof(attr));
		attr[0] = id;
		if (syscall(SYS_bpf, 12 /* BPF_MAP_GET_NEXT_ID */, attr, sizeof(attr)) < 0)
			return errno == ENOENT ? 0 : errno;
		id = attr[1];
		memset(attr, 0, sizeof(attr));
		attr[0] = id;
		TRY(syscall(SYS_bpf, 14 /* BPF_MAP_GET_FD_BY_ID */, attr, sizeof(attr)));
	}
}
