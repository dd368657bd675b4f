#include "base/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define HEAD          16 /* bytes before the addresses */
#define COMMAND_LOCAL 0x20
#define COMMAND_PROXY 0x21
#define UNIQUE_ID     0x05

/* What the addresses are; also the byte that says so. */
enum kind { UNKNOWN = 0, TCP4 = 0x11, TCP6 = 0x21 };

static enum kind
proxy_kind(const struct proxy_header *header)
{
	sa_family_t family = header->source.ss_family;

	if (family != header->destination.ss_family || (family != AF_INET && family != AF_INET6))
		return UNKNOWN;
	return family == AF_INET ? TCP4 : TCP6;
}

static size_t
proxy_put(unsigned char *place, const void *bytes, size_t length)
{
	memcpy(place, bytes, length);
	return length;
}

/* A type, a length of two bytes, a value. */
static size_t
proxy_put_value(unsigned char *place, unsigned type, const void *value, size_t length)
{
	place[0] = (unsigned char)type;
	place[1] = (unsigned char)(length >> 8);
	place[2] = (unsigned char)length;
	return 3 + proxy_put(place + 3, value, length);
}

static size_t
proxy_put_number(unsigned char *place, unsigned type, uint32_t number)
{
	uint32_t value = htonl(number);

	return proxy_put_value(place, type, &value, sizeof value);
}

static size_t
proxy_put_addresses(unsigned char *place, const struct proxy_header *header)
{
	const struct sockaddr_in *from = (const void *)&header->source, *to = (const void *)&header->destination;
	const struct sockaddr_in6 *from6 = (const void *)from, *to6 = (const void *)to;
	enum kind kind = proxy_kind(header);
	size_t length;

	if (kind == UNKNOWN)
		return 0;
	if (kind == TCP4) {
		length = proxy_put(place, &from->sin_addr, sizeof from->sin_addr);
		length += proxy_put(place + length, &to->sin_addr, sizeof to->sin_addr);
	} else {
		length = proxy_put(place, &from6->sin6_addr, sizeof from6->sin6_addr);
		length += proxy_put(place + length, &to6->sin6_addr, sizeof to6->sin6_addr);
	}
	/* IPv6 has the port at the same place. */
	length += proxy_put(place + length, &from->sin_port, sizeof from->sin_port);
	return length + proxy_put(place + length, &to->sin_port, sizeof to->sin_port);
}

/* What all of version 2 begin with; tail: how many bytes follow. */
static size_t
proxy_put_head(unsigned char *place, unsigned command, unsigned kind, size_t tail)
{
	static const unsigned char signature[] = { '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };
	size_t length = proxy_put(place, signature, sizeof signature);

	place[length++] = (unsigned char)command;
	place[length++] = (unsigned char)kind;
	place[length++] = (unsigned char)(tail >> 8);
	place[length++] = (unsigned char)tail;
	return length;
}

static size_t
proxy_write_v2(const struct proxy_header *header, unsigned char *place)
{
	size_t length = HEAD + proxy_put_addresses(place + HEAD, header);
	enum kind kind = proxy_kind(header);

	if (header->id != NULL)
		length += proxy_put_value(place + length, UNIQUE_ID, header->id,
		    strnlen(header->id, PROXY_HEADER_ID_MAX));
	if (header->has_user) {
		length += proxy_put_number(place + length, PROXY_HEADER_UID, header->uid);
		length += proxy_put_number(place + length, PROXY_HEADER_GID, header->gid);
	}
	if (header->has_user && header->pid != 0)
		length += proxy_put_number(place + length, PROXY_HEADER_PID, header->pid);
	proxy_put_head(place, kind == UNKNOWN ? COMMAND_LOCAL : COMMAND_PROXY, kind, length - HEAD);
	return length;
}

/* A line, which knows TCP alone. */
static size_t
proxy_write_v1(const struct proxy_header *header, unsigned char *place)
{
	const struct sockaddr_in *from = (const void *)&header->source, *to = (const void *)&header->destination;
	enum kind kind = proxy_kind(header);
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	int family = kind == TCP4 ? AF_INET : AF_INET6;
	const void *source_address = &from->sin_addr, *destination_address = &to->sin_addr;

	if (kind == UNKNOWN)
		return proxy_header_local(PROXY_V1, place);
	if (kind == TCP6) {
		source_address = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
		destination_address = &((const struct sockaddr_in6 *)(const void *)to)->sin6_addr;
	}
	inet_ntop(family, source_address, source, sizeof source);
	inet_ntop(family, destination_address, destination, sizeof destination);
	return (size_t)snprintf((char *)place, PROXY_HEADER_MAX, "PROXY %s %s %s %u %u\r\n", kind == TCP4 ? "TCP4" :
	    "TCP6", source, destination, (unsigned)ntohs(from->sin_port), (unsigned)ntohs(to->sin_port));
}

size_t
proxy_header_write(const struct proxy_header *header, unsigned char ret_bytes[PROXY_HEADER_MAX])
{
	return header->version == PROXY_V1 ? proxy_write_v1(header, ret_bytes) : proxy_write_v2(header, ret_bytes);
}

size_t
proxy_header_local(enum proxy_version version, unsigned char ret_bytes[PROXY_HEADER_MAX])
{
	static const char unknown[] = "PROXY UNKNOWN\r\n";

	if (version == PROXY_NONE)
		return 0;
	return version == PROXY_V1 ? proxy_put(ret_bytes, unknown, sizeof unknown - 1)
	    : proxy_put_head(ret_bytes, COMMAND_LOCAL, UNKNOWN, 0);
}
