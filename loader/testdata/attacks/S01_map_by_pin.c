/*
 * id: S01
 * tries: a descriptor of a pinned map, in a role that allows bpf(2)
 * role: admin
 * args: /sys/fs/bpf/jail/maps/1-????????/control_block
 * control: own
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	__attribute__((aligned(8))) unsigned int attr[32] = { 2 /* array */, 4, 4, 1 };
	unsigned long path = (unsigned long)argv[1];

	if (!strcmp(argv[1], "own")) {
		TRY(syscall(SYS_bpf, 0 /* MAP_CREATE */, attr, sizeof(attr)));
		return 0;
	}
	memset(attr, 0, sizeof(attr));
	memcpy(attr, &path, sizeof(path));
	TRY(syscall(SYS_bpf, 7 /* OBJ_GET */, attr, sizeof(attr)));
	return 0;
}
