/*
 * id: F18
 * tries: names with newlines, wildcards and bytes that are no UTF-8 above a denied one
 * role: files
 * args: /srv/jail/rw/dir .env
 * control: /srv/jail/rw/dir other
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	const char *names[] = { "line\nbreak", "*", "[a-z]", "\xff\xfe", "**" };

	MUST(chdir(argv[1]));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		TRY(mkdir(names[i], 0700));
		MUST(chdir(names[i]));
	}
	TRY(open(argv[2], O_RDWR | O_CREAT, 0600));
	return 0;
}
