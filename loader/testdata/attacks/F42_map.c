/*
 * id: F42
 * tries: map a file shared and writable that was opened for reading, and raise it
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = MUST(open(argv[1], O_RDONLY));
	void *at;

	at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		BROKEN("mmap");
	if (!mprotect(at, 4096, PROT_READ | PROT_WRITE) || errno != EACCES)
		BROKEN("the map could be raised");
	TRY(fd = open(argv[1], O_RDWR));
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? errno : 0;
}
