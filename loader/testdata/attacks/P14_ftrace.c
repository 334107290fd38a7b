/*
 * id: P14
 * tries: open ftrace_enabled for writing: 0 there, and the kernel calls no BPF program any more
 * role: permissive
 * args: /proc/sys/kernel/ftrace_enabled
 * control: /proc/sys/vm/swappiness
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_WRONLY));
	return 0;
}
