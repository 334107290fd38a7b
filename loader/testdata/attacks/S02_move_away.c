/*
 * id: S02
 * tries: move the bpf file system away
 * role: permissive
 * args: /sys/fs/bpf
 * control: own
 * expect: EPERM
 * as: root
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	const char *from = argv[1];

	if (!strcmp(from, "own")) {
		own_mounts();
		from = "/run/jail-test/mount";
		MUST(mount("none", from, "tmpfs", 0, NULL));
	}
	TRY(mount(from, "/mnt", NULL, MS_MOVE, NULL));
	MUST(mount("/mnt", from, NULL, MS_MOVE, NULL));
	return 0;
}
