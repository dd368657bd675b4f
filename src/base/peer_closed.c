#include "base/peer_closed.h"

#include <poll.h>
#include <sys/ioctl.h>

bool
peer_closed_has_come(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP);
}

bool
peer_closed_was_shut(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLRDHUP);
}

static bool
peer_closed_left_nothing(int fd)
{
	int pending = 0;

	return ioctl(fd, FIONREAD, &pending) == -1 || pending == 0;
}

bool
peer_closed_is_final(int fd)
{
	return peer_closed_has_come(fd) && peer_closed_left_nothing(fd);
}

bool
peer_closed_is_silence(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLRDHUP };

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLRDHUP | POLLHUP)) && peer_closed_left_nothing(fd);
}
