#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
file_open_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
			continue;
		/* The lowest number that is free is this one. */
		if (open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) == -1)
			return false;
	}
	return true;
}

void
file_read(const char *path, char *ret_text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd == -1 ? 0 : read(fd, ret_text, size - 1);

	ret_text[n > 0 ? n : 0] = '\0';
	if (fd != -1)
		close(fd);
}

long
file_find_number(const char *text, const char *name)
{
	char head[64];
	const char *found;

	snprintf(head, sizeof head, "\n%s:", name);
	found = strstr(text, head);
	return found == NULL ? -1 : strtol(found + strlen(head), NULL, 10);
}
