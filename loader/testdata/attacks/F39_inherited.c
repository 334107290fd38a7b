/*
 * id: F39
 * tries: read by a descriptor that was open before the jail was entered: it may
 * role: files
 * descriptor: /srv/jail/hidden/file
 * expect: 0
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char byte;

	TRY(pread(3, &byte, 1, 0));
	return 0;
}
