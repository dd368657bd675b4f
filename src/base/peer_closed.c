#include "base/peer_closed.h"

#include <poll.h>
#include <sys/ioctl.h>

/* Whether any of these has come; POLLHUP always may. */
static bool
peer_closed_shows(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = (short)(events & POLLRDHUP) };

	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & events);
}

static bool
peer_closed_left_nothing(int fd)
{
	int pending = 0;

	return ioctl(fd, FIONREAD, &pending) == -1 || pending == 0;
}

bool
peer_closed_has_come(int fd)
{
	return peer_closed_shows(fd, POLLHUP);
}

bool
peer_closed_was_shut(int fd)
{
	return peer_closed_shows(fd, POLLRDHUP);
}

bool
peer_closed_is_final(int fd)
{
	return peer_closed_has_come(fd) && peer_closed_left_nothing(fd);
}

bool
peer_closed_is_silence(int fd)
{
	return peer_closed_shows(fd, POLLRDHUP | POLLHUP) && peer_closed_left_nothing(fd);
}
