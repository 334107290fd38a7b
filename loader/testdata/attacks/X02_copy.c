/*
 * id: X02
 * tries: copy a program to where it may be written, and execute it
 * role: files
 * args: /srv/jail/rw/program
 * control: /srv/jail/rwx/program
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	copy_file("/srv/jail/ro/true", argv[1]);
	TRY(execl(argv[1], argv[1], NULL));
	return 0;
}
