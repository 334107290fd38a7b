/*
 * id: X14
 * tries: an allowed program whose ELF interpreter is not allowed
 * role: files
 * args: /srv/jail/rw/ld
 * control: /srv/jail/rwx/ld
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	const char *own = "/lib64/ld-linux-x86-64.so.2", *program = "/srv/jail/rwx/program";
	size_t size;
	char *text, *at;
	int fd;

	copy_file(own, argv[1]);
	copy_file("/srv/jail/ro/true", program);
	fd = MUST(open(program, O_RDWR));
	size = MUST(lseek(fd, 0, SEEK_END));
	text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (text == MAP_FAILED || !(at = memmem(text, size, own, strlen(own))))
		BROKEN("no interpreter in the program");
	memset(at, 0, strlen(own));
	memcpy(at, argv[1], strlen(argv[1]));
	munmap(text, size);
	close(fd);
	TRY(execl(program, program, NULL));
	return 0;
}
