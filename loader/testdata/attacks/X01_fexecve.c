/*
 * id: X01
 * tries: fexecve, execveat with AT_EMPTY_PATH
 * role: webserver
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char *args[] = { "true", NULL }, *env[] = { NULL };
	int fd = MUST(open("/bin/true", O_PATH | O_CLOEXEC));

	TRY(syscall(SYS_execveat, fd, "", args, env, AT_EMPTY_PATH));
	return 0;
}
