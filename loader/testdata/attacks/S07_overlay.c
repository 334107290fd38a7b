/*
 * id: S07
 * tries: write to the configuration as the upper layer of an overlay
 * role: permissive
 * args: /etc jail/roles.d/attack.toml
 * control: /srv attack.toml
 * expect: EPERM
 * as: root
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	char options[128], path[64];
	int fd, err;

	own_mounts();
	mkdir("/var/tmp/lower", 0755);
	mkdir("/var/tmp/work", 0755);
	snprintf(options, sizeof(options),
		 "lowerdir=/var/tmp/lower,upperdir=%s,workdir=/var/tmp/work", argv[1]);
	MUST(mount("none", "/mnt", "overlay", 0, options));
	snprintf(path, sizeof(path), "/mnt/%s", argv[2]);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	err = fd < 0 ? errno : 0;
	close(fd);
	unlink(path);
	umount2("/mnt", 0);
	return err;
}
