/*
 * id: P08
 * tries: ask where the parent's pages are, to move them
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	void *page = (void *)0x400000;
	int status;

	TRY(syscall(SYS_move_pages, target(argv[1]), 1, &page, NULL, &status, 0));
	return 0;
}
