/*
 * id: P14
 * tries: mount a hierarchy of cgroups with a program that the kernel runs
 * role: permissive
 * args: none,name=jail-attack,release_agent=/bin/x
 * control: none,name=jail-control
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char at[] = "/tmp/cgroup1-XXXXXX";

	MUST(mkdtemp(at) ? 0 : -1);
	TRY(mount("none", at, "cgroup", 0, argv[1]));
	MUST(umount2(at, MNT_DETACH));
	return 0;
}
