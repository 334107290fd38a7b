/*
 * id: F43
 * tries: copy_file_range, sendfile and splice need descriptors for both ends
 * role: files
 * args: /srv/jail/ro/file /srv/jail/ro/other
 * control: /srv/jail/ro/file /srv/jail/rw/other
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int from = MUST(open(argv[1], O_RDONLY)), to;

	TRY(to = open(argv[2], O_WRONLY));
	TRY(copy_file_range(from, NULL, to, NULL, 4, 0));
	return 0;
}
