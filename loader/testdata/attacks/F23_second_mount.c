/*
 * id: F23
 * tries: mount a block device a second time, elsewhere
 * role: mounter
 * args: ext4 /srv/image.device /hidden/file
 * control: ext4 /srv/image.device /open/plain/file
 * expect: EACCES
 * as: root
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	char device[64] = { 0 }, path[64];

	MUST(readlink(argv[2], device, sizeof(device) - 1));
	own_mounts();
	MUST(mount(device, "/mnt", argv[1], 0, argc > 4 ? argv[4] : NULL));
	snprintf(path, sizeof(path), "/mnt%s", argv[3]);
	TRY(open(path, O_RDONLY));
	return 0;
}
