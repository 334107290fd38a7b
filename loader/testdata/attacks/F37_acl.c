/*
 * id: F37
 * tries: an ACL that opens the file to another user
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
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
		} entry[5];
	} acl = { 2,
		  { { 1, 6, -1 }, { 2, 6, 12345 }, { 4, 4, -1 }, { 16, 6, -1 }, { 32, 4, -1 } } };

	TRY(setxattr(argv[1], "system.posix_acl_access", &acl, sizeof(acl), 0));
	return 0;
}
