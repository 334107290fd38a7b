/*
 * id: S07
 * tries: an ACL on the configuration's directory
 * role: permissive
 * args: /etc/jail/roles.d
 * control: /srv
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <sys/xattr.h>

int attack(int argc, char **argv)
{
	struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entry[3];
	} acl = { 2, { { 1, 7, -1 }, { 4, 5, -1 }, { 32, 5, -1 } } };

	TRY(setxattr(argv[1], "system.posix_acl_access", &acl, sizeof(acl), 0));
	return 0;
}
