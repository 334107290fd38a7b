/*
 * id: F22
 * tries: a file system of one's own that presents an allowed name
 * role: mounter
 * args: /srv/jail/rw/dir/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * as: root
 * tree: yes
 */
#include "attack.h"
#include "files.h"

#include <linux/fuse.h>

enum { ROOT = 1, THE_FILE = 2 };

static void attributes(struct fuse_attr *a, uint64_t node)
{
	memset(a, 0, sizeof(*a));
	a->ino = node;
	a->mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0644;
	a->nlink = 1;
	a->size = 6;
	a->blksize = 512;
}

/* Serves a directory with one file, named "file". */
static void serve(int fd)
{
	static char in[FUSE_MIN_READ_BUFFER + 65536];
	static struct {
		struct fuse_out_header head;
		char data[512];
	} out;

	for (;;) {
		struct fuse_in_header *ask = (void *)in;
		size_t size = 0;

		if (read(fd, in, sizeof(in)) < 0)
			_exit(0);
		memset(&out, 0, sizeof(out));
		switch (ask->opcode) {
		case FUSE_INIT: {
			struct fuse_init_out *o = (void *)out.data;

			o->major = FUSE_KERNEL_VERSION;
			o->minor = 31;
			o->max_write = 4096;
			size = sizeof(*o);
			break;
		}
		case FUSE_LOOKUP: {
			struct fuse_entry_out *o = (void *)out.data;

			if (strcmp(in + sizeof(*ask), "file")) {
				out.head.error = -ENOENT;
				break;
			}
			o->nodeid = THE_FILE;
			attributes(&o->attr, THE_FILE);
			size = sizeof(*o);
			break;
		}
		case FUSE_GETATTR: {
			struct fuse_attr_out *o = (void *)out.data;

			attributes(&o->attr, ask->nodeid);
			size = sizeof(*o);
			break;
		}
		case FUSE_OPEN:
			size = sizeof(struct fuse_open_out);
			break;
		case FUSE_FORGET:
		case FUSE_RELEASE:
		case FUSE_FLUSH:
			break;
		default:
			out.head.error = -ENOSYS;
		}
		if (ask->opcode == FUSE_FORGET)
			continue;
		out.head.unique = ask->unique;
		out.head.len = sizeof(out.head) + size;
		if (write(fd, &out, out.head.len) < 0 && errno == ENODEV)
			_exit(0);
	}
}

int attack(int argc, char **argv)
{
	int fd = MUST(open("/dev/fuse", O_RDWR)), err;
	char options[64];
	pid_t server;

	own_mounts();
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	MUST(mount("fuse", "/srv/jail/rw/dir", "fuse", 0, options));
	server = MUST(fork());
	if (!server)
		serve(fd);
	close(fd);
	err = open(argv[1], O_RDONLY) < 0 ? errno : 0;
	kill(server, SIGKILL);
	return err;
}
