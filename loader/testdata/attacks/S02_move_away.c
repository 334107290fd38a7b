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
	const char *from = strcmp(argv[1], "own") ? argv[1] : own_mount();

	TRY(mount(from, "/mnt", NULL, MS_MOVE, NULL));
	MUST(mount("/mnt", from, NULL, MS_MOVE, NULL));
	return 0;
}
