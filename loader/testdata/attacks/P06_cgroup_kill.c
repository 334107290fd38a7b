/*
 * id: P06
 * tries: open cgroup.kill of a group: it kills whoever is in it
 * role: permissive
 * args: cgroup.kill
 * control: cgroup.procs
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[64];

	mkdir("/tmp/cgroup2", 0700); /* mounted there by the harness */
	mkdir("/tmp/cgroup2/attack", 0755);
	snprintf(path, sizeof(path), "/tmp/cgroup2/attack/%s", argv[1]);
	TRY(open(path, O_WRONLY));
	return 0;
}
