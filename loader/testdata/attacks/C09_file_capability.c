/*
 * id: C09
 * tries: give a file of its own capabilities
 * role: worker
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <linux/capability.h>
#include <sys/xattr.h>

int attack(int argc, char **argv)
{
	struct vfs_cap_data cap = { .magic_etc = VFS_CAP_REVISION_2 };
	char path[] = "/tmp/capable-XXXXXX";
	int fd = MUST(mkstemp(path)), err = 0;

	cap.data[0].permitted = 1 << CAP_KILL;
	if (fsetxattr(fd, "security.capability", &cap, XATTR_CAPS_SZ_2, 0))
		err = errno;
	unlink(path);
	return err;
}
