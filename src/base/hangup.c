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
hangup_was_shut(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLRDHUP);
}

static bool
hangup_left_nothing(int fd)
{
	int pending = 0;

	return ioctl(fd, FIONREAD, &pending) == -1 || pending == 0;
}

bool
hangup_is_final(int fd)
{
	return hangup_has_come(fd) && hangup_left_nothing(fd);
}

bool
hangup_is_silence(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLRDHUP | POLLHUP)) && hangup_left_nothing(fd);
}
