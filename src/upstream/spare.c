#include "upstream/spare.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "upstream/said.h"

bool
spare_has_ended(int fd, char ret_text[SPARE_TEXT_SIZE])
{
	struct pollfd look = { .fd = fd, .events = POLLIN | POLLRDHUP };
	unsigned char said[SAID_MAX];
	char escaped[SAID_SIZE];
	socklen_t length = sizeof(int);
	int error = 0;
	ssize_t n;

	if (poll(&look, 1, 0) < 1 || (look.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0)
		return false;
	ret_text[0] = '\0';
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	n = recv(fd, said, sizeof said, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0) {
		said_escape(said, (size_t)n, escaped);
		snprintf(ret_text, SPARE_TEXT_SIZE, "it said \"%s\"", escaped);
	} else if (error != 0) {
		snprintf(ret_text, SPARE_TEXT_SIZE, "%s", strerror(error));
	}
	return true;
}

/* getpeername() fails where the connection was reset; SO_PEERNAME does not, but takes no length beyond the name's. */
static bool
spare_peer(int fd, struct sockaddr_storage *ret_name, socklen_t *ret_length)
{
	static const socklen_t lengths[] = { sizeof(struct sockaddr_in6), sizeof(struct sockaddr_in) };

	*ret_length = sizeof *ret_name;
	if (getpeername(fd, (struct sockaddr *)ret_name, ret_length) == 0)
		return true;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		*ret_length = lengths[i];
		if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, ret_name, ret_length) == 0)
			return true;
	}
	return false;
}

void
spare_address(int fd, char *ret_text, size_t size)
{
	struct sockaddr_storage name;
	socklen_t length;
	char text[ADDRESS_TEXT_SIZE];

	memset(&name, 0, sizeof name);
	ret_text[0] = '\0';
	if (!spare_peer(fd, &name, &length))
		return;
	address_format_socket((const struct sockaddr *)&name, length, text);
	snprintf(ret_text, size, "%s", text);
}
