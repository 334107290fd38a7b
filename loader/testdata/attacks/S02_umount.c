/*
 * id: S02
 * tries: unmount what shows the pins, in a role that allows mounts
 * role: admin
 * args: /sys/fs/bpf
 * control: /tmp
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char at[] = "/tmp/unmount-XXXXXX";

	MUST(mkdtemp(at) ? 0 : -1);
	MUST(mount(argv[1], at, NULL, MS_BIND, NULL));
	TRY(umount2(at, MNT_DETACH));
	return 0;
}
