/*
 * id: X03
 * tries: exec of a memfd from a role without exec
 * role: webserver
 * control-role: permissive
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char *args[] = { "true", NULL }, *env[] = { NULL }, buf[4096];
	int in = MUST(open("/bin/true", O_RDONLY | O_CLOEXEC));
	int fd = MUST(memfd_create("x", MFD_CLOEXEC));
	ssize_t n;

	while ((n = MUST(read(in, buf, sizeof(buf)))) > 0)
		MUST(write(fd, buf, n));
	TRY(fexecve(fd, args, env));
	return 0;
}
