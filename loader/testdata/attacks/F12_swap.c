/*
 * id: F12
 * tries: a symlink that another thread points at a denied and an allowed file in turn
 * role: files
 * args: /srv/jail/rw/swapped /srv/jail/hidden/file
 * control: /srv/jail/rw/swapped /srv/jail/ro/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

static char *from;

static void *swaps(void *target)
{
	for (;;) {
		unlink(from);
		symlink(target, from);
		usleep(10);
		unlink(from);
		symlink("empty", from);
		usleep(10);
	}
	return NULL;
}

int attack(int argc, char **argv)
{
	pthread_t other;
	int denied = 0;
	char text[16];

	from = argv[1];
	MUST(pthread_create(&other, NULL, swaps, argv[2]));
	for (int i = 0; i < 20000; i++) {
		int fd = open(argv[1], O_RDONLY);

		if (fd >= 0) {
			if (pread(fd, text, sizeof(text), 0) >= 6 && !memcmp(text, "secret", 6))
				return 0;
			close(fd);
		} else if (errno == EACCES) {
			denied = 1;
		}
	}
	return denied ? EACCES : ENOENT;
}
