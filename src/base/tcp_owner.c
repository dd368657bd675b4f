#include "base/tcp_owner.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tcp_listen.h"

#define TCP_OWNERS_LISTEN 0x0a /* the kernel's TCP_LISTEN */

/* Both ends of a socket: all numbers in the network's order, IPv4's addresses as IPv6 has them. */
struct tcp_pair {
	struct in6_addr address[2]; /* its own, the other's */
	in_port_t port[2];
};

struct tcp_owner {
	struct tcp_pair pair;
	sa_family_t family;
	unsigned state;
	uid_t uid;
	pid_t pid;           /* 0 none yet */
	unsigned long inode;
};

/* Where the listing is. */
enum tcp_owners_stage { TCP_OWNERS_IP4, TCP_OWNERS_IP6, TCP_OWNERS_PROCESSES, TCP_OWNERS_OVER };

struct tcp_owners {
	struct tcp_owner *owners;    /* owned; sorted by pair, at last */
	size_t count;
	struct tcp_owner **by_inode; /* owned; NULL: processes are not looked for */
	enum tcp_owners_stage stage;
	bool seeks;                  /* processes */
	FILE *list;                  /* owned; NULL: not open */
	DIR *processes, *files;      /* owned, likewise: /proc, and of one process */
	pid_t pid;                   /* of files */
	unsigned looked;             /* at so many files */
};

static int
tcp_owner_compare(const void *a, const void *b)
{
	return memcmp(&((const struct tcp_owner *)a)->pair, &((const struct tcp_owner *)b)->pair,
	    sizeof(struct tcp_pair));
}

static struct in6_addr
tcp_owner_mapped(uint32_t ip4)
{
	struct in6_addr address = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	memcpy(&address.s6_addr[12], &ip4, sizeof ip4);
	return address;
}

/* As the kernel prints it: words of 32 bits as this host has them. */
static struct in6_addr
tcp_owner_address(const char *digits)
{
	struct in6_addr address;
	uint32_t word[4] = { 0 };
	char part[9] = "";

	for (size_t i = 0; i < 4 && strlen(digits) >= 8 * (i + 1); i++) {
		memcpy(part, digits + 8 * i, 8);
		word[i] = (uint32_t)strtoul(part, NULL, 16);
	}
	memcpy(&address, word, sizeof address);
	return strlen(digits) == 8 ? tcp_owner_mapped(word[0]) : address;
}

/* "  0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  UID 0 INODE ..." */
static bool
tcp_owner_parse(const char *line, sa_family_t family, struct tcp_owner *ret_owner)
{
	char digits[2][33];
	unsigned port[2], state, uid;
	unsigned long inode;

	/* One that its process has closed has no inode, and no user either. */
	if (sscanf(line, " %*u: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %*x:%*x %*x:%*x %*x %u %*d %lu", digits[0], &port[0],
	    digits[1], &port[1], &state, &uid, &inode) != 7 || inode == 0)
		return false;
	memset(ret_owner, 0, sizeof *ret_owner);
	for (int i = 0; i < 2; i++) {
		ret_owner->pair.address[i] = tcp_owner_address(digits[i]);
		ret_owner->pair.port[i] = htons((uint16_t)port[i]);
	}
	ret_owner->family = family;
	ret_owner->state = state;
	ret_owner->uid = uid;
	ret_owner->inode = inode;
	return true;
}

static void
tcp_owners_add(struct tcp_owners *owners, const struct tcp_owner *owner)
{
	if ((owners->count & (owners->count + 1)) == 0) /* full: the places are a power of two, less 1 */
		owners->owners = mem_resize(owners->owners, 2 * owners->count + 1, sizeof *owner);
	owners->owners[owners->count++] = *owner;
}

/* The next lines of a list; whether there are more. */
static bool
tcp_owners_read(struct tcp_owners *owners, const char *path, sa_family_t family)
{
	struct tcp_owner owner;
	char line[512];
	bool more = true;

	if (owners->list == NULL && (owners->list = fopen(path, "re")) == NULL)
		return false;
	for (int n = 0; n < TCP_OWNERS_BIT && more; n++) {
		more = owners->count < TCP_OWNERS_MAX && fgets(line, sizeof line, owners->list) != NULL;
		if (more && tcp_owner_parse(line, family, &owner))
			tcp_owners_add(owners, &owner);
	}
	if (more)
		return true;
	fclose(owners->list);
	owners->list = NULL;
	return false;
}

static int
tcp_owner_compare_inode(const void *a, const void *b)
{
	unsigned long left = (*(struct tcp_owner *const *)a)->inode, right = (*(struct tcp_owner *const *)b)->inode;

	return (left > right) - (left < right);
}

/* All sockets are listed. */
static void
tcp_owners_sort(struct tcp_owners *owners)
{
	if (owners->count == 0)
		return;
	qsort(owners->owners, owners->count, sizeof *owners->owners, tcp_owner_compare);
	if (!owners->seeks)
		return;
	owners->by_inode = mem_new(owners->count, sizeof *owners->by_inode);
	for (size_t i = 0; i < owners->count; i++)
		owners->by_inode[i] = &owners->owners[i];
	qsort(owners->by_inode, owners->count, sizeof *owners->by_inode, tcp_owner_compare_inode);
}

/* A file of the process, which may be one of the sockets. */
static void
tcp_owners_look(struct tcp_owners *owners, const char *name)
{
	struct tcp_owner key = { .inode = 0 }, *wanted = &key, **found;
	char link[64];
	ssize_t length = readlinkat(dirfd(owners->files), name, link, sizeof link - 1);

	link[length < 0 ? 0 : length] = '\0';
	if (sscanf(link, "socket:[%lu]", &key.inode) != 1)
		return;
	found = bsearch(&wanted, owners->by_inode, owners->count, sizeof *owners->by_inode, tcp_owner_compare_inode);
	if (found != NULL && (*found)->pid == 0)
		(*found)->pid = owners->pid;
}

/* Many processes do not show theirs to everybody. */
static void
tcp_owners_open_files(struct tcp_owners *owners, const char *name)
{
	char path[64];
	int fd;

	if (strspn(name, "0123456789") != strlen(name))
		return;
	snprintf(path, sizeof path, "%.16s/fd", name);
	fd = openat(dirfd(owners->processes), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	owners->pid = (pid_t)strtol(name, NULL, 10);
	if (fd != -1 && (owners->files = fdopendir(fd)) == NULL)
		close(fd);
}

/* The next process, or files of one; whether there are more. */
static bool
tcp_owners_read_processes(struct tcp_owners *owners)
{
	struct dirent *entry = NULL;

	if (owners->by_inode == NULL || owners->looked >= TCP_OWNERS_FILES ||
	    (owners->processes == NULL && (owners->processes = opendir("/proc")) == NULL))
		return false;
	for (int n = 0; n < TCP_OWNERS_BIT && owners->files != NULL; n++, owners->looked++)
		if ((entry = readdir(owners->files)) != NULL) {
			tcp_owners_look(owners, entry->d_name);
		} else {
			closedir(owners->files);
			owners->files = NULL;
		}
	if (owners->files != NULL)
		return true;
	if ((entry = readdir(owners->processes)) != NULL)
		tcp_owners_open_files(owners, entry->d_name);
	return entry != NULL;
}

bool
tcp_owners_list_bit(struct tcp_owners *owners)
{
	bool more = false;

	switch (owners->stage) {
	case TCP_OWNERS_IP4: more = tcp_owners_read(owners, "/proc/net/tcp", AF_INET); break;
	case TCP_OWNERS_IP6: more = tcp_owners_read(owners, "/proc/net/tcp6", AF_INET6); break;
	case TCP_OWNERS_PROCESSES: more = tcp_owners_read_processes(owners); break;
	case TCP_OWNERS_OVER: return false;
	}
	if (!more && owners->stage == TCP_OWNERS_IP6)
		tcp_owners_sort(owners);
	owners->stage += !more;
	return owners->stage != TCP_OWNERS_OVER;
}

struct tcp_owners *
tcp_owners_new(bool processes)
{
	struct tcp_owners *owners = mem_new(1, sizeof *owners);

	owners->seeks = processes;
	return owners;
}

void
tcp_owners_free(struct tcp_owners *owners)
{
	if (owners == NULL)
		return;
	if (owners->list != NULL)
		fclose(owners->list);
	if (owners->files != NULL)
		closedir(owners->files);
	if (owners->processes != NULL)
		closedir(owners->processes);
	mem_free(owners->by_inode);
	mem_free(owners->owners);
	mem_free(owners);
}

/* false: it is not TCP's. */
static bool
tcp_owner_end(const struct sockaddr_storage *socket, struct in6_addr *ret_address, in_port_t *ret_port)
{
	const struct sockaddr_in *ip4 = (const void *)socket;
	const struct sockaddr_in6 *ip6 = (const void *)socket;

	if (socket->ss_family != AF_INET && socket->ss_family != AF_INET6)
		return false;
	*ret_address = socket->ss_family == AF_INET ? tcp_owner_mapped(ip4->sin_addr.s_addr) : ip6->sin6_addr;
	*ret_port = ip4->sin_port; /* at the same place in both */
	return true;
}

bool
tcp_owners_find_peer(const struct tcp_owners *owners, int fd, uid_t *ret_uid, pid_t *ret_pid)
{
	struct sockaddr_storage own, other;
	socklen_t own_length = sizeof own, other_length = sizeof other;
	struct tcp_owner key;
	const struct tcp_owner *found;

	memset(&key, 0, sizeof key);
	/* The other's end is the key's own. */
	if (getsockname(fd, (struct sockaddr *)&own, &own_length) == -1 ||
	    getpeername(fd, (struct sockaddr *)&other, &other_length) == -1 ||
	    !tcp_owner_end(&other, &key.pair.address[0], &key.pair.port[0]) ||
	    !tcp_owner_end(&own, &key.pair.address[1], &key.pair.port[1]) || owners->count == 0)
		return false;
	found = bsearch(&key, owners->owners, owners->count, sizeof key, tcp_owner_compare);
	if (found == NULL)
		return false;
	*ret_uid = found->uid;
	*ret_pid = found->pid;
	return true;
}

static void
tcp_owner_name(const struct tcp_owner *owner, char ret_name[ADDRESS_TEXT_SIZE])
{
	struct sockaddr_in ip4 = { .sin_family = AF_INET, .sin_port = owner->pair.port[0] };
	struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6, .sin6_port = owner->pair.port[0],
		.sin6_addr = owner->pair.address[0] };

	memcpy(&ip4.sin_addr, &owner->pair.address[0].s6_addr[12], sizeof ip4.sin_addr);
	if (owner->family == AF_INET)
		address_format_socket((const struct sockaddr *)&ip4, sizeof ip4, ret_name);
	else
		address_format_socket((const struct sockaddr *)&ip6, sizeof ip6, ret_name);
}

bool
tcp_owners_find_listener(const struct tcp_owners *owners, const char *name, char ret_name[ADDRESS_TEXT_SIZE],
    uid_t *ret_uid)
{
	char found[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < owners->count; i++) {
		const struct tcp_owner *owner = &owners->owners[i];

		if (owner->state != TCP_OWNERS_LISTEN)
			continue;
		tcp_owner_name(owner, found);
		if (!tcp_listen_meets(name, found))
			continue;
		memcpy(ret_name, found, sizeof found);
		*ret_uid = owner->uid;
		return true;
	}
	return false;
}
