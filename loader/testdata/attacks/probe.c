/* SPDX-License-Identifier: MIT */
/*
 * No attack: opens each path of standard input, one a line, and answers with the access
 * that it got: some of "rwx", or "-". A directory is only read.
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char *line = NULL, *no[] = { "", NULL };
	size_t size = 0;
	ssize_t len;

	MUST(chdir(argv[1]));
	while ((len = getline(&line, &size, stdin)) > 0) {
		struct stat st;
		char got[4], *at = got;
		int fd;

		line[len - 1] = 0;
		MUST(stat(line, &st));
		fd = open(line, O_RDONLY);
		if (fd >= 0)
			*at++ = 'r';
		close(fd);
		if (!S_ISDIR(st.st_mode)) {
			fd = open(line, O_WRONLY);
			if (fd >= 0)
				*at++ = 'w';
			close(fd);
			/* The file is empty: an exec that is allowed finds no format. */
			execv(line, no);
			if (errno == ENOEXEC)
				*at++ = 'x';
		}
		*at = 0;
		puts(at == got ? "-" : got);
	}
	return 0;
}
