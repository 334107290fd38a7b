/*
 * id: S01
 * tries: bpf(2): the next map id
 * role: permissive
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char attr[128] = {};

	TRY(syscall(SYS_bpf, 12 /* BPF_MAP_GET_NEXT_ID */, attr, sizeof(attr)));
	return 0;
}
