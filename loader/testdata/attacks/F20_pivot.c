/*
 * id: F20
 * tries: pivot_root, so that the denied directory is the root
 * role: mounter
 * args: /srv/jail/hidden
 * control: /srv/jail/ro
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	own_mounts();
	MUST(mount(argv[1], argv[1], NULL, MS_BIND | MS_REC, NULL));
	MUST(chdir(argv[1]));
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	TRY(open("/file", O_RDONLY));
	return 0;
}
