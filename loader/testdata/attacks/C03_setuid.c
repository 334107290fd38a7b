/*
 * id: C03
 * tries: become uid 0 again after giving it up for good, by a capability that was kept
 * role: webserver
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	MUST(setresuid(33, 33, 33));
	struct {
		unsigned int version;
		int pid;
	} head = { 0x20080522, 0 };
	struct {
		unsigned int effective, permitted, inheritable;
	} data[2] = {};

	MUST(syscall(SYS_capget, &head, data));
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	MUST(syscall(SYS_capset, &head, data));
	TRY(setresuid(0, 0, 0));
	return 0;
}
