/*
 * id: F47
 * tries: asynchronous write to a descriptor that was opened for it
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"
#include <linux/aio_abi.h>

int attack(int argc, char **argv)
{
	struct iocb block = { 0 }, *list[1] = { &block };
	aio_context_t context = 0;
	struct io_event event;
	int fd;

	TRY(fd = open(argv[1], O_WRONLY));
	block.aio_lio_opcode = IOCB_CMD_PWRITE;
	block.aio_fildes = fd;
	block.aio_buf = (uintptr_t)"x";
	block.aio_nbytes = 1;
	MUST(syscall(SYS_io_setup, 1, &context));
	TRY(syscall(SYS_io_submit, context, 1, list));
	MUST(syscall(SYS_io_getevents, context, 1, 1, &event, NULL));
	return event.res == 1 ? 0 : EIO;
}
