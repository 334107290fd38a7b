/*
 * id: X22
 * tries: have the kernel load a module, by a program of a format that is none
 * role: no_modules
 * control-role: admin
 * expect: EPERM
 */
#include "autoload.h"

int attack(int argc, char **argv)
{
	char path[] = "/tmp/formatXXXXXX";
	int fd = MUST(mkstemp(path));

	MUST(write(fd, "\1\2\3\4\5\6\7\10", 8));
	MUST(fchmod(fd, 0755));
	close(fd);
	unlink(MODPROBE_RAN);
	execl(path, path, NULL);
	unlink(path);
	return module_requested();
}
