#include "base/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ADDRESS_LABEL_MAX 63
#define ADDRESS_NAME_MAX  253

static const char *
address_parse_unix(const char *path, struct address *address)
{
	struct sockaddr_un *un = (void *)&address->socket;
	size_t length = strlen(path);

	if (path[0] != '/')
		return "the path after unix: is not absolute";
	if (length >= sizeof un->sun_path)
		return "the path after unix: is longer than 107 bytes";
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, length + 1);
	address->socket_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	return NULL;
}

static const char *
address_parse_port(const char *text, uint16_t *ret_port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned port = 0;

	if (text[0] == '\0')
		return "no port after the colon";
	if (text[digits] != '\0')
		return "the port is not a number";
	if (digits > 5)
		return "the port is above 65535";
	for (size_t i = 0; i < digits; i++)
		port = port * 10 + (unsigned)(text[i] - '0');
	if (port == 0)
		return "port 0 is not a port";
	if (port > UINT16_MAX)
		return "the port is above 65535";
	*ret_port = (uint16_t)port;
	return NULL;
}

/* As the kernel has it: dev_valid_name(). */
static bool
address_is_interface(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < IF_NAMESIZE && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	    strpbrk(name, "/: \t\n\v\f\r") == NULL;
}

int
address_find_interface(struct address *address)
{
	bool numbered = strspn(address->host, "0123456789") == strlen(address->host);
	unsigned number;

	if (address->kind != ADDRESS_SOCKET || address->socket.ss_family != AF_INET6 || address->host[0] == '\0')
		return 0;
	number = if_nametoindex(address->host);
	if (number == 0 && numbered)
		number = (unsigned)strtoul(address->host, NULL, 10);
	if (number == 0)
		return -ENODEV;
	((struct sockaddr_in6 *)(void *)&address->socket)->sin6_scope_id = number;
	return 0;
}

/* text begins behind the "[". */
static const char *
address_parse_ip6(const char *text, struct address *address)
{
	const char *end = strchr(text, ']');
	char number[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
	struct sockaddr_in6 *ip = (void *)&address->socket;
	const char *error;
	char *scope;

	if (end == NULL)
		return "no ] behind the IPv6 address";
	if ((size_t)(end - text) >= sizeof number)
		return "not an IPv6 address between [ and ]";
	memcpy(number, text, (size_t)(end - text));
	number[end - text] = '\0';
	scope = strchr(number, '%');
	if (scope != NULL)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, number, &ip->sin6_addr) != 1)
		return "not an IPv6 address between [ and ]";
	if (scope != NULL && !address_is_interface(scope))
		return "no name of a network interface behind the %";
	if (scope != NULL)
		strcpy(address->host, scope);
	if (end[1] != ':')
		return "no port";
	error = address_parse_port(end + 2, &address->port);
	if (error != NULL)
		return error;
	ip->sin6_family = AF_INET6;
	ip->sin6_port = htons(address->port);
	address->socket_length = sizeof *ip;
	return NULL;
}

/* RFC 1123 labels, underscores too; one dot at the end is fine. */
static const char *
address_check_host(const char *host)
{
	size_t length = strlen(host), label = 0;

	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length == 0)
		return "no host before the colon";
	if (length > ADDRESS_NAME_MAX)
		return "the host name is longer than 253 bytes";
	for (size_t i = 0; i <= length; i++) {
		if (i == length || host[i] == '.') {
			if (label == 0)
				return "the host name has an empty label";
			if (label > ADDRESS_LABEL_MAX)
				return "the host name has a label longer than 63 bytes";
			if (host[i - 1] == '-' || host[i - label] == '-')
				return "the host name has a label that begins or ends with -";
			label = 0;
		} else if (!isalnum((unsigned char)host[i]) && host[i] != '-' && host[i] != '_') {
			return "the host name has a character that is not allowed";
		} else {
			label++;
		}
	}
	return NULL;
}

static const char *
address_parse_host(const char *text, struct address *address)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in *ip = (void *)&address->socket;
	const char *error;

	if (colon == NULL)
		return "no port";
	if (memchr(text, ':', (size_t)(colon - text)) != NULL)
		return "more than one colon (an IPv6 address needs [ and ])";
	if ((size_t)(colon - text) >= sizeof address->host)
		return "the host name is longer than 253 bytes";
	error = address_parse_port(colon + 1, &address->port);
	if (error != NULL)
		return error;
	memcpy(address->host, text, (size_t)(colon - text));
	if (strspn(address->host, "0123456789.") != strlen(address->host) || address->host[0] == '\0') {
		address->kind = ADDRESS_HOST;
		return address_check_host(address->host);
	}
	if (inet_pton(AF_INET, address->host, &ip->sin_addr) != 1)
		return "not an IPv4 address";
	memset(address->host, 0, sizeof address->host);
	ip->sin_family = AF_INET;
	ip->sin_port = htons(address->port);
	address->socket_length = sizeof *ip;
	return NULL;
}

const char *
address_parse(const char *text, struct address *ret_address)
{
	struct address address;
	const char *error;

	memset(&address, 0, sizeof address);
	address.kind = ADDRESS_SOCKET;
	if (text[0] == '\0')
		return "the address is empty";
	if (text[0] == '/')
		return "the path of a Unix socket has unix: before it";
	if (strstr(text, "://") != NULL)
		return "an address is HOST:PORT or unix:/PATH, no URL";
	if (strncmp(text, "unix:", 5) == 0)
		error = address_parse_unix(text + 5, &address);
	else if (text[0] == '[')
		error = address_parse_ip6(text + 1, &address);
	else
		error = address_parse_host(text, &address);
	for (const char *c = text; error == NULL && *c != '\0'; c++)
		if (iscntrl((unsigned char)*c)) /* what shows addresses need not escape them */
			error = "the address has a control character";
	if (error == NULL)
		*ret_address = address;
	return error;
}

/* Ports that URLs leave out. */
static const struct {
	const char *scheme;
	unsigned port;
} address_schemes[] = {
	{ "amqp", 5672 }, { "amqps", 5671 }, { "http", 80 }, { "https", 443 }, { "ldap", 389 }, { "mysql", 3306 },
	{ "mongodb", 27017 }, { "postgres", 5432 }, { "postgresql", 5432 }, { "redis", 6379 }, { "rediss", 6379 },
	{ "ws", 80 }, { "wss", 443 },
};

bool
address_advise(const char *text, char ret_text[ADDRESS_TEXT_SIZE])
{
	const char *rest = strstr(text, "://"), *at;
	size_t scheme = rest == NULL ? 0 : (size_t)(rest - text);
	struct address address;
	unsigned port = 0;
	int length, n;

	rest = rest == NULL ? text : rest + 3;
	if (*rest == '/') /* a path, or unix:///PATH */
		return snprintf(ret_text, ADDRESS_TEXT_SIZE, "unix:%s", rest) < ADDRESS_TEXT_SIZE &&
		    address_parse(ret_text, &address) == NULL;
	if (scheme == 0)
		return false;
	length = (int)strcspn(rest, "/?#");
	if ((at = memrchr(rest, '@', (size_t)length)) != NULL) {
		length -= (int)(at + 1 - rest);
		rest = at + 1;
	}
	n = snprintf(ret_text, ADDRESS_TEXT_SIZE, "%.*s", length, rest);
	if (n < ADDRESS_TEXT_SIZE && address_parse(ret_text, &address) == NULL)
		return true;
	for (size_t i = 0; i < sizeof address_schemes / sizeof address_schemes[0]; i++)
		if (strlen(address_schemes[i].scheme) == scheme &&
		    strncasecmp(address_schemes[i].scheme, text, scheme) == 0)
			port = address_schemes[i].port;
	n = snprintf(ret_text, ADDRESS_TEXT_SIZE, "%.*s:%u", length, rest, port);
	return n < ADDRESS_TEXT_SIZE && address_parse(ret_text, &address) == NULL;
}

static void
address_format_ip6(const struct sockaddr_in6 *ip, const char *interface, char ret_text[ADDRESS_TEXT_SIZE])
{
	char number[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, &ip->sin6_addr, number, sizeof number);
	snprintf(ret_text, ADDRESS_TEXT_SIZE, "[%s%s%.*s]:%u", number, interface[0] == '\0' ? "" : "%", IF_NAMESIZE,
	    interface, ntohs(ip->sin6_port));
}

void
address_format(const struct address *address, char ret_text[ADDRESS_TEXT_SIZE])
{
	const struct sockaddr *socket = (const struct sockaddr *)(const void *)&address->socket;

	if (address->kind == ADDRESS_HOST)
		snprintf(ret_text, ADDRESS_TEXT_SIZE, "%.*s:%u", ADDRESS_HOST_SIZE - 1, address->host, address->port);
	else if (socket->sa_family == AF_INET6 && address->host[0] != '\0')
		address_format_ip6((const void *)socket, address->host, ret_text);
	else
		address_format_socket(socket, address->socket_length, ret_text);
}

/* An abstract name begins with a NUL, which is shown as "@", and may hold any bytes. */
static void
address_format_unix(const struct sockaddr_un *un, socklen_t length, char ret_text[ADDRESS_TEXT_SIZE])
{
	size_t room = length > offsetof(struct sockaddr_un, sun_path) ?
	    length - offsetof(struct sockaddr_un, sun_path) : 0;
	bool abstract;
	size_t n;

	if (room > sizeof un->sun_path)
		room = sizeof un->sun_path;
	abstract = room > 1 && un->sun_path[0] == '\0';
	if (!abstract)
		room = strnlen(un->sun_path, room);
	n = (size_t)snprintf(ret_text, ADDRESS_TEXT_SIZE, "unix:%s", abstract ? "@" : "");
	for (size_t i = abstract ? 1 : 0; i < room; i++)
		ret_text[n++] = un->sun_path[i] == '\0' ? '@' : un->sun_path[i];
	ret_text[n] = '\0';
}

void
address_format_socket(const struct sockaddr *socket, socklen_t length, char ret_text[ADDRESS_TEXT_SIZE])
{
	const struct sockaddr_in *ip = (const void *)socket;
	const struct sockaddr_in6 *ip6 = (const void *)socket;
	char number[INET_ADDRSTRLEN], name[IF_NAMESIZE] = "";

	if (length >= sizeof *ip && socket->sa_family == AF_INET) {
		inet_ntop(AF_INET, &ip->sin_addr, number, sizeof number);
		snprintf(ret_text, ADDRESS_TEXT_SIZE, "%s:%u", number, ntohs(ip->sin_port));
	} else if (length >= sizeof *ip6 && socket->sa_family == AF_INET6) {
		if (ip6->sin6_scope_id != 0 && if_indextoname(ip6->sin6_scope_id, name) == NULL)
			snprintf(name, sizeof name, "%u", ip6->sin6_scope_id); /* it is gone */
		address_format_ip6(ip6, name, ret_text);
	} else if (length >= sizeof socket->sa_family && socket->sa_family == AF_UNIX) {
		address_format_unix((const void *)socket, length, ret_text);
	} else {
		snprintf(ret_text, ADDRESS_TEXT_SIZE, "unknown");
	}
}

static bool
address_socket_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
	const struct sockaddr_un *au = (const void *)a, *bu = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	switch (a->ss_family) {
	case AF_INET:
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	case AF_INET6:
		return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
		    memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
	case AF_UNIX:
		return strncmp(au->sun_path, bu->sun_path, sizeof au->sun_path) == 0;
	default:
		return false;
	}
}

bool
address_equal(const struct address *a, const struct address *b)
{
	if (a->kind != b->kind || a->port != b->port)
		return false;
	if (a->kind == ADDRESS_HOST)
		return strcasecmp(a->host, b->host) == 0;
	return strcmp(a->host, b->host) == 0 && address_socket_equal(&a->socket, &b->socket);
}
