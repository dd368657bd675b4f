#include "base/standard_files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool
standard_files_open(void)
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
