/*
 * id: P13
 * tries: plant a configuration by moving its parent into place
 * role: planter
 * args: /srv/jail/rw/.config
 * control: /srv/jail/rw/config
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	MUST(mkdir("/srv/jail/rw/new", 0755));
	MUST(mkdir("/srv/jail/rw/new/git", 0755));
	MUST(creat("/srv/jail/rw/new/git/config", 0644));
	TRY(rename("/srv/jail/rw/new", argv[1]));
	return 0;
}
