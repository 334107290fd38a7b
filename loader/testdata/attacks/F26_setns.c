/*
 * id: F26
 * tries: open through the mount namespace of another process
 * role: mounter
 * args: /srv/jail/hidden/file /srv/jail/rw/file
 * control: /srv/jail/ro/file /srv/jail/rw/file
 * expect: EACCES
 * as: root
 * tree: yes
 */
#include "attack.h"
#include "files.h"

int attack(int argc, char **argv)
{
	pid_t pid = MUST(fork());
	int fd;
	char path[64];

	if (!pid) {
		own_mounts();
		MUST(mount(argv[1], argv[2], NULL, MS_BIND, NULL));
		raise(SIGSTOP);
		_exit(0);
	}
	MUST(waitpid(pid, NULL, WUNTRACED));
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && !setns(fd, CLONE_NEWNS))
		fd = open(argv[2], O_RDONLY);
	else
		fd = -1;
	kill(pid, SIGKILL);
	return fd < 0 ? errno : 0;
}
