/*
 * id: X04
 * tries: execute the dynamic loader, which the role may map and no more
 * role: files
 * args: /lib64/ld-linux-x86-64.so.2
 * control: /srv/jail/rwx/true
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(execl(argv[1], argv[1], "--version", NULL));
	return 0;
}
