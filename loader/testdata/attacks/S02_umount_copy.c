/*
 * id: S02
 * tries: unmount what shows the pins wherever a copy of its tree is mounted, with the copy,
 *        in a role that allows mounts
 * role: admin
 * args: /sys
 * control: /dev
 * expect: EPERM
 * as: root
 */
#include "attack.h"

/* The copy has a peer group of its own: unjailed this does no harm. */
int attack(int argc, char **argv)
{
	char at[] = "/tmp/unmount-XXXXXX", copy[sizeof(at) + 5];

	MUST(mkdtemp(at) ? 0 : -1);
	MUST(mount("none", at, "tmpfs", 0, NULL));
	snprintf(copy, sizeof(copy), "%s/copy", at);
	MUST(mkdir(copy, 0755));
	MUST(mount(argv[1], copy, NULL, MS_BIND | MS_REC, NULL));
	MUST(mount(NULL, copy, NULL, MS_PRIVATE, NULL));
	MUST(mount(NULL, copy, NULL, MS_SHARED, NULL));
	TRY(umount2(at, MNT_DETACH));
	return 0;
}
