/*
 * id: F11
 * tries: rename a directory in a loop while another thread opens what it holds
 * role: files
 * args: /srv/jail/rw/dir /srv/jail/rw/dir2 /srv/jail/rw/dir/.env /srv/jail/rw/dir2/.env
 * control: /srv/jail/rw/dir /srv/jail/rw/dir2 /srv/jail/rw/dir/file /srv/jail/rw/dir2/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

static char *from, *to;

static void *renames(void *unused)
{
	for (;;) {
		rename(from, to);
		rename(to, from);
	}
	return unused;
}

int attack(int argc, char **argv)
{
	pthread_t other;
	int fd;

	from = argv[1];
	to = argv[2];
	MUST(pthread_create(&other, NULL, renames, NULL));
	for (int i = 0; i < 20000; i++) {
		fd = open(argv[3 + i % 2], O_RDONLY);
		if (fd >= 0)
			return 0;
	}
	return EACCES;
}
