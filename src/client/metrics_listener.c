#include "client/metrics_listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/mem.h"
#include "client/listener.h"

#define METRICS_LISTENER_BACKLOG 64

static const struct sockaddr *
metrics_listener_name(const struct address *address)
{
	return (const struct sockaddr *)(const void *)&address->socket;
}

static bool
metrics_listener_is_loopback(const struct address *address)
{
	const struct sockaddr_in *ip4 = (const void *)&address->socket;
	const struct sockaddr_in6 *ip6 = (const void *)&address->socket;

	if (address->socket.ss_family == AF_INET)
		return ntohl(ip4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return address->socket.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&ip6->sin6_addr);
}

const char *
metrics_listener_check(const char *text)
{
	struct address address;
	const char *wrong = address_parse(text, &address);

	if (wrong != NULL)
		return wrong;
	if (address.kind == ADDRESS_HOST)
		return "a host name may mean any host; write 127.0.0.1:PORT, [::1]:PORT or unix:/PATH";
	if (address.socket.ss_family != AF_UNIX && !metrics_listener_is_loopback(&address))
		return "other hosts could reach it, and there is no password; "
		    "write 127.0.0.1:PORT, [::1]:PORT or unix:/PATH";
	return NULL;
}

static char *
metrics_listener_open_unix(const struct address *address, const char *runtime_directory, int *ret_fd)
{
	const struct sockaddr_un *name = (const void *)&address->socket;
	struct listener_settings settings = { .type = LISTENER_STREAM, .mode = 0660,
		.backlog = METRICS_LISTENER_BACKLOG };
	struct sockaddr_un bound;
	socklen_t length;
	char *wrong;

	settings.path = mem_copy_text(name->sun_path);
	wrong = listener_open(&settings, runtime_directory, ret_fd, &bound, &length);
	mem_free(settings.path);
	return wrong;
}

bool
metrics_listener_name_unix(const char *text, struct sockaddr_un *ret_name, socklen_t *ret_length)
{
	struct address address;
	const struct sockaddr_un *name = (const void *)&address.socket;
	char *wrong;

	if (address_parse(text, &address) != NULL || address.socket.ss_family != AF_UNIX)
		return false;
	wrong = listener_name(name->sun_path, ret_name, ret_length);
	mem_free(wrong);
	return wrong == NULL;
}

static bool
metrics_listener_listen(int fd, const struct address *address)
{
	int yes = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
	    bind(fd, metrics_listener_name(address), address->socket_length) == 0 &&
	    listen(fd, METRICS_LISTENER_BACKLOG) == 0;
}

char *
metrics_listener_open(const char *text, const char *runtime_directory, int *ret_fd)
{
	struct address address;
	const char *wrong = address_parse(text, &address);
	int fd, error;

	if (wrong != NULL)
		return mem_print("%s: %s", text, wrong);
	if (address.socket.ss_family == AF_UNIX)
		return metrics_listener_open_unix(&address, runtime_directory, ret_fd);
	fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd != -1 && metrics_listener_listen(fd, &address)) {
		*ret_fd = fd;
		return NULL;
	}
	error = errno;
	if (fd != -1)
		close(fd);
	return mem_print("%s: %s", text, strerror(error));
}

/* The socket's own address; false if it has none. */
static bool
metrics_listener_get(int fd, struct address *ret_address)
{
	*ret_address = (struct address){ .kind = ADDRESS_SOCKET, .socket_length = sizeof ret_address->socket };
	return fd != -1 && getsockname(fd, (struct sockaddr *)&ret_address->socket, &ret_address->socket_length) == 0;
}

bool
metrics_listener_is_at(int fd, const char *text)
{
	struct address bound, wanted;
	char bound_text[ADDRESS_TEXT_SIZE], wanted_text[ADDRESS_TEXT_SIZE];

	if (address_parse(text, &wanted) != NULL || !metrics_listener_get(fd, &bound))
		return false;
	address_format(&bound, bound_text);
	address_format(&wanted, wanted_text);
	return strcmp(bound_text, wanted_text) == 0;
}

/* Its path, or "" if it has none. */
static const char *
metrics_listener_path(int fd, struct address *ret_address)
{
	const struct sockaddr_un *name = (const void *)&ret_address->socket;

	return metrics_listener_get(fd, ret_address) && ret_address->socket.ss_family == AF_UNIX ? name->sun_path
	    : "";
}

void
metrics_listener_place(int fd, struct place *ret_place)
{
	struct address bound;

	place_of(metrics_listener_path(fd, &bound), ret_place);
}

bool
metrics_listener_is_there(int fd, const struct place *place)
{
	struct address bound;

	return place_is_at(place, metrics_listener_path(fd, &bound));
}

void
metrics_listener_unlink(int fd, const struct place *place)
{
	struct address bound;

	place_unlink(place, metrics_listener_path(fd, &bound));
}
