/* SPDX-License-Identifier: MIT */
#ifndef FILES_H
#define FILES_H

#include "attack.h"

static inline void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		BROKEN(path);
	close(fd);
}

static inline void copy_file(const char *from, const char *to)
{
	int in = MUST(open(from, O_RDONLY)), out = MUST(open(to, O_WRONLY | O_CREAT, 0755));
	char buf[4096];
	ssize_t n;

	while ((n = MUST(read(in, buf, sizeof(buf)))) > 0)
		MUST(write(out, buf, n));
	close(in);
	close(out);
}

/* A mount namespace of one's own; for an ordinary user in a user namespace. */
static inline void own_mounts(void)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();

	MUST(unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)));
	if (uid && geteuid() != uid) {
		put("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %d 1", uid);
		put("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %d 1", gid);
		put("/proc/self/gid_map", map);
	}
	MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

/* A mount of one's own, in such a namespace: where it is. */
static inline const char *own_mount(void)
{
	const char *where = "/run/jail-test/mount";

	own_mounts();
	MUST(mount("none", where, "tmpfs", 0, NULL));
	return where;
}

#endif
