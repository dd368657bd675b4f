#include "base/hangup.h"

#include <poll.h>
#include <sys/ioctl.h>

bool
hangup_has_come(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP);
}

bool
hangup_is_final(int fd)
{
	int pending = 0;

	return hangup_has_come(fd) && (ioctl(fd, FIONREAD, &pending) == -1 || pending == 0);
}
