/*
 * id: X15
 * tries: bind-mount a directory over one whose files may be executed
 * role: mounter
 * args: /srv/jail/rw /srv/jail/rwx
 * control: /srv/jail/rwx /srv/jail/rw
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/file", argv[1]);
	MUST(chmod(path, 0755));
	own_mounts();
	MUST(mount(argv[1], argv[2], NULL, MS_BIND, NULL));
	snprintf(path, sizeof(path), "%s/file", argv[2]);
	/* ENOEXEC: it has no format, and nobody else had an objection. */
	TRY(execl(path, path, NULL) && errno == ENOEXEC ? 0 : -1);
	return 0;
}
