/*
 * id: F18
 * tries: names that share their first 250 bytes with a denied one
 * role: files
 * args: /srv/jail/rw z
 * control: /srv/jail/rw y
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "%s/", argv[1]);

	memset(path + len, 'p', 250);
	strcpy(path + len + 250, argv[2]);
	TRY(open(path, O_RDWR | O_CREAT, 0600));
	return 0;
}
