/*
 * id: S02
 * tries: make a directory among the pins
 * role: permissive
 * args: /sys/fs/bpf/jail/attack
 * control: /tmp/attack
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(mkdir(argv[1], 0700));
	rmdir(argv[1]);
	return 0;
}
