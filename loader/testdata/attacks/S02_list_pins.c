/*
 * id: S02
 * tries: list the directory of our pins
 * role: permissive
 * args: /sys/fs/bpf/jail
 * control: /sys/fs
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY | O_DIRECTORY));
	return 0;
}
