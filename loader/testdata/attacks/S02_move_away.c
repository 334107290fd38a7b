/*
 * id: S02
 * tries: move the bpf file system away
 * role: permissive
 * args: /sys/fs/bpf
 * control: /run/jail-test/mount
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	if (strcmp(argv[1], "/sys/fs/bpf"))
		MUST(mount("none", argv[1], "tmpfs", 0, NULL));
	TRY(mount(argv[1], "/mnt", NULL, MS_MOVE, NULL));
	MUST(mount("/mnt", argv[1], NULL, MS_MOVE, NULL));
	if (strcmp(argv[1], "/sys/fs/bpf"))
		MUST(umount2(argv[1], MNT_DETACH));
	return 0;
}
