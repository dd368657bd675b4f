#include "upstream/spare.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"

#define SPARE_SAID 80

static void
spare_escape(const unsigned char *bytes, size_t length, char *text, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < length && at + 5 < size; i++) {
		if (bytes[i] == '\r' || bytes[i] == '\n' || bytes[i] == '\t')
			at += (size_t)snprintf(text + at, size - at, "\\%c",
			    bytes[i] == '\r' ? 'r' : bytes[i] == '\n' ? 'n' : 't');
		else if (bytes[i] < ' ' || bytes[i] > '~' || bytes[i] == '\\' || bytes[i] == '"')
			at += (size_t)snprintf(text + at, size - at, "\\x%02x", bytes[i]);
		else
			text[at++] = (char)bytes[i];
	}
	text[at] = '\0';
}

bool
spare_has_ended(int fd, char ret_text[SPARE_TEXT_SIZE])
{
	struct pollfd look = { .fd = fd, .events = POLLIN | POLLRDHUP };
	unsigned char said[SPARE_SAID];
	char escaped[4 * SPARE_SAID + 1];
	socklen_t length = sizeof(int);
	int error = 0;
	ssize_t n;

	if (poll(&look, 1, 0) < 1 || (look.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0)
		return false;
	ret_text[0] = '\0';
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	n = recv(fd, said, sizeof said, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0) {
		spare_escape(said, (size_t)n, escaped, sizeof escaped);
		snprintf(ret_text, SPARE_TEXT_SIZE, "it said \"%s\"", escaped);
	} else if (error != 0) {
		snprintf(ret_text, SPARE_TEXT_SIZE, "%s", strerror(error));
	}
	return true;
}

void
spare_address(int fd, char *ret_text, size_t size)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof name;
	char text[ADDRESS_TEXT_SIZE];

	memset(&name, 0, sizeof name);
	ret_text[0] = '\0';
	if (getpeername(fd, (struct sockaddr *)&name, &length) == -1)
		return;
	address_format_socket((const struct sockaddr *)&name, length, text);
	snprintf(ret_text, size, "%s", text);
}
