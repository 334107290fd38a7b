/*
 * id: S11
 * tries: read who is jailed from the pinned iterator
 * role: permissive
 * args: /sys/fs/bpf/jail/links/1-????????/subjects_iter
 * control: /dev/null
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
