/*
 * id: X12
 * tries: a script, whose interpreter is the second pass
 * role: webserver
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[] = "/tmp/scriptXXXXXX";
	int fd = MUST(mkstemp(path));

	MUST(write(fd, "#!/bin/true\n", 12));
	MUST(fchmod(fd, 0755));
	MUST(close(fd));
	TRY(execl(path, path, NULL));
	return 0;
}
