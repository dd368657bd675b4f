#include "base/peer_closed.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Which of these have come; POLLHUP always may. */
static int
peer_closed_shows(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = (short)(events & POLLRDHUP) };

	return poll(&poll_fd, 1, 0) == 1 ? poll_fd.revents & events : 0;
}

static bool
peer_closed_is_unix(int fd)
{
	int domain = AF_UNIX;
	socklen_t length = sizeof domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == -1 || domain == AF_UNIX;
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
peer_closed_has_left(int fd)
{
	int shown = peer_closed_shows(fd, POLLRDHUP | POLLHUP);

	return shown & POLLHUP || (shown != 0 && peer_closed_left_nothing(fd) && !peer_closed_is_unix(fd));
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
