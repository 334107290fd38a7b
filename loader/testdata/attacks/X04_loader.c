/*
 * id: X04
 * tries: run a program by the dynamic loader
 * role: programs
 * args: /srv/jail/rw/program
 * control: /srv/jail/rwx/program
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

static char *program;

static int load(void)
{
	MUST(execl("/lib64/ld-linux-x86-64.so.2", "ld", program, NULL));
	return 0;
}

int attack(int argc, char **argv)
{
	int status;

	program = argv[1];
	copy_file("/srv/jail/ro/true", program);
	status = in_child(load);
	return status == 127 ? EACCES : status; /* the loader could not map it */
}
