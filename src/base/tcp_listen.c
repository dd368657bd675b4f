#include "base/tcp_listen.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define TCP_LISTEN_LOCAL    "localhost"
#define TCP_LISTEN_DEVICE   "lo"
/* Seconds after which a client that has vanished with its host is found out: idle, then so often, so many times. */
#define TCP_LISTEN_IDLE     60
#define TCP_LISTEN_INTERVAL 10
#define TCP_LISTEN_COUNT    6

bool
tcp_listen_is_meant(const char *path)
{
	return path[0] != '@' && strchr(path, '/') == NULL && strchr(path, ':') != NULL;
}

static bool
tcp_listen_is_local(const struct address *address)
{
	return address->kind == ADDRESS_HOST;
}

const char *
tcp_listen_parse(const char *text, char ret_name[ADDRESS_TEXT_SIZE])
{
	struct address address;
	const char *wrong = address_parse(text, &address);

	if (wrong != NULL)
		return wrong;
	if (address.kind == ADDRESS_HOST && strcasecmp(address.host, TCP_LISTEN_LOCAL) != 0)
		return "a host name may mean any host; write an address of this host, or localhost";
	if (address.socket.ss_family == AF_UNIX)
		return "a Unix socket is a path, without unix:";
	if (address.kind == ADDRESS_HOST)
		snprintf(ret_name, ADDRESS_TEXT_SIZE, TCP_LISTEN_LOCAL ":%u", address.port);
	else
		address_format(&address, ret_name);
	return NULL;
}

/* false: it is no name. */
static bool
tcp_listen_read(const char *name, struct address *ret_address)
{
	char same[ADDRESS_TEXT_SIZE];

	return tcp_listen_parse(name, same) == NULL && address_parse(name, ret_address) == NULL;
}

/* An address in 16 bytes: IPv4's as IPv6 has it. */
static struct in6_addr
tcp_listen_bytes(const struct sockaddr *socket)
{
	const struct sockaddr_in *ip4 = (const void *)socket;
	const struct sockaddr_in6 *ip6 = (const void *)socket;
	struct in6_addr bytes = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	if (socket->sa_family == AF_INET6)
		return ip6->sin6_addr;
	memcpy(&bytes.s6_addr[12], &ip4->sin_addr, sizeof ip4->sin_addr);
	return bytes;
}

static uint16_t
tcp_listen_port(const struct sockaddr *socket)
{
	/* At the same place in both families. */
	return ntohs(((const struct sockaddr_in *)(const void *)socket)->sin_port);
}

static bool
tcp_listen_is_tcp(const struct sockaddr *socket)
{
	return socket->sa_family == AF_INET || socket->sa_family == AF_INET6;
}

/* Whether it is the address that means all. */
static bool
tcp_listen_is_any(const struct sockaddr *socket)
{
	static const struct in6_addr any = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	struct in6_addr bytes = tcp_listen_bytes(socket);

	return IN6_IS_ADDR_UNSPECIFIED(&bytes) || memcmp(&bytes, &any, sizeof any) == 0;
}

static const struct sockaddr *
tcp_listen_socket(const struct address *address)
{
	return (const struct sockaddr *)(const void *)&address->socket;
}

bool
tcp_listen_is_public(const char *name)
{
	struct address address;
	struct in6_addr bytes;

	if (!tcp_listen_read(name, &address) || tcp_listen_is_local(&address))
		return false;
	bytes = tcp_listen_bytes(tcp_listen_socket(&address));
	if (address.socket.ss_family == AF_INET)
		return bytes.s6_addr[12] != IN_LOOPBACKNET;
	return !IN6_IS_ADDR_LOOPBACK(&bytes);
}

/* Whether it takes what comes to that address. */
static bool
tcp_listen_takes(const struct address *address, const struct sockaddr *socket)
{
	const struct sockaddr *own = tcp_listen_socket(address);
	struct in6_addr a = tcp_listen_bytes(own), b = tcp_listen_bytes(socket);

	if (tcp_listen_is_local(address) || (tcp_listen_is_any(own) && own->sa_family == AF_INET6))
		return true;
	return tcp_listen_is_any(own) ? socket->sa_family == AF_INET : memcmp(&a, &b, sizeof a) == 0;
}

bool
tcp_listen_meets(const char *a, const char *b)
{
	struct address one, other;

	if (!tcp_listen_read(a, &one) || !tcp_listen_read(b, &other) || one.port != other.port)
		return false;
	return tcp_listen_takes(&one, tcp_listen_socket(&other)) || tcp_listen_takes(&other, tcp_listen_socket(&one));
}

bool
tcp_listen_leads_to(const char *address, const char *name)
{
	return tcp_listen_meets(address, name) && (!tcp_listen_is_public(address) || strcmp(address, name) == 0);
}

bool
tcp_listen_has_taken(const struct sockaddr *own, const char *name)
{
	struct address address;

	return tcp_listen_is_tcp(own) && tcp_listen_read(name, &address) && address.port == tcp_listen_port(own) &&
	    tcp_listen_takes(&address, own);
}

/* Both families' address that means all. */
static void
tcp_listen_fill_local(struct address *address, int family)
{
	struct sockaddr_in *ip4 = (void *)&address->socket;
	struct sockaddr_in6 *ip6 = (void *)&address->socket;

	memset(&address->socket, 0, sizeof address->socket);
	address->socket.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		ip4->sin_port = htons(address->port);
	else
		ip6->sin6_port = htons(address->port);
	address->socket_length = family == AF_INET ? sizeof *ip4 : sizeof *ip6;
}

/* A host may have no IPv6 at all. */
static int
tcp_listen_make(struct address *address)
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, fd;

	if (!tcp_listen_is_local(address))
		return socket(address->socket.ss_family, type, 0);
	tcp_listen_fill_local(address, AF_INET6);
	fd = socket(AF_INET6, type, 0);
	if (fd != -1 || errno != EAFNOSUPPORT)
		return fd;
	tcp_listen_fill_local(address, AF_INET);
	return socket(AF_INET, type, 0);
}

/* 0 or -1. */
static int
tcp_listen_bind_local(int fd, int family)
{
	int no = 0;

	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) == -1)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, TCP_LISTEN_DEVICE, sizeof TCP_LISTEN_DEVICE);
}

void
tcp_listen_set(int fd)
{
	static const struct { int level, option, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, TCP_LISTEN_IDLE },
		{ IPPROTO_TCP, TCP_KEEPINTVL, TCP_LISTEN_INTERVAL },
		{ IPPROTO_TCP, TCP_KEEPCNT, TCP_LISTEN_COUNT },
		{ SOL_SOCKET, SO_DETACH_FILTER, 0 },
	};

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof options[i].value);
}

int
tcp_listen_open(const char *name, int backlog, int *ret_fd)
{
	struct address address;
	int fd, yes = 1, error;

	if (!tcp_listen_read(name, &address))
		return -EINVAL;
	error = address_find_interface(&address);
	fd = error != 0 ? -1 : tcp_listen_make(&address);
	if (fd == -1)
		return error != 0 ? error : -errno;
	tcp_listen_set(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 && (!tcp_listen_is_local(&address) ||
	    tcp_listen_bind_local(fd, address.socket.ss_family) == 0) &&
	    bind(fd, tcp_listen_socket(&address), address.socket_length) == 0 &&
	    (backlog == 0 || listen(fd, backlog) == 0)) {
		*ret_fd = fd;
		return 0;
	}
	error = -errno;
	close(fd);
	return error;
}

bool
tcp_listen_name_of(int fd, char ret_name[ADDRESS_TEXT_SIZE])
{
	struct sockaddr_storage storage = { 0 };
	const struct sockaddr *socket = (const struct sockaddr *)(const void *)&storage;
	socklen_t length = sizeof storage, int_length = sizeof(int), device_length = IF_NAMESIZE;
	char device[IF_NAMESIZE] = "";
	int type = 0, listening = 0;

	if (getsockname(fd, (struct sockaddr *)&storage, &length) == -1 || !tcp_listen_is_tcp(socket) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_length) == -1 || type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_length) == -1 || !listening)
		return false;
	getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &device_length);
	if (tcp_listen_is_any(socket) && strcmp(device, TCP_LISTEN_DEVICE) == 0)
		snprintf(ret_name, ADDRESS_TEXT_SIZE, TCP_LISTEN_LOCAL ":%u", tcp_listen_port(socket));
	else
		address_format_socket(socket, length, ret_name);
	return true;
}

/* shutdown() would reset all who have connected and are not accepted yet.  So who begins to connect is not heard: he
 * tries again after a second. */
bool
tcp_listen_shut(int fd)
{
	/* TCP's flags are in byte 13 of its header: SYN without ACK begins. */
	static struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog filter = { .len = sizeof steps / sizeof steps[0], .filter = steps };
	char name[ADDRESS_TEXT_SIZE];

	if (!tcp_listen_name_of(fd, name))
		return false;
	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
	return true;
}
