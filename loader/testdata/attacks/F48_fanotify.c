/*
 * id: F48
 * tries: fanotify opens what others read, for the listener
 * role: mounter
 * args: /srv/jail/hidden/polled
 * control: /srv/jail/rw/polled
 * expect: EACCES
 * as: root
 * tree: yes
 */
#include "attack.h"
#include <sys/fanotify.h>

int attack(int argc, char **argv)
{
	char buf[4096];
	struct fanotify_event_metadata *event = (void *)buf;
	int fd = MUST(syscall(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY));

	MUST(syscall(SYS_fanotify_mark, fd, FAN_MARK_ADD, FAN_ACCESS | FAN_OPEN, AT_FDCWD,
		     argv[1]));
	for (int i = 0; i < 300; i++) {
		if (read(fd, buf, sizeof(buf)) > 0)
			return event->fd < 0 ? EACCES : 0;
		if (errno != EAGAIN)
			return errno;
		usleep(10000);
	}
	return ETIMEDOUT;
}
