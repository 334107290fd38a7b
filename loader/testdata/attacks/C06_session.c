/*
 * id: C06
 * tries: get other credentials by KEYCTL_SESSION_TO_PARENT: the jail is the task's
 * role: files
 * args: /srv/jail/hidden/file
 * control: /srv/jail/ro/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

#include <linux/keyctl.h>

static int give_session(void)
{
	MUST(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
	MUST(syscall(SYS_keyctl, KEYCTL_SESSION_TO_PARENT));
	return 0;
}

int attack(int argc, char **argv)
{
	if (in_child(give_session))
		BROKEN("no session keyring");
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
