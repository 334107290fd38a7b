/*
 * id: P05
 * tries: signal a process of the same role in another jail
 * role: permissive
 * args: /run/jail-test/pid-permissive
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char text[16] = { 0 };
	int fd;

	if (!strcmp(argv[1], "child")) {
		TRY(kill(target("child"), 0));
		return 0;
	}
	MUST(fd = open(argv[1], O_RDONLY));
	MUST(read(fd, text, sizeof(text) - 1));
	TRY(kill(atoi(text), 0));
	return 0;
}
