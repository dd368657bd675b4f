/* proxy_header.h - the PROXY protocol's header, by which a server learns who the client behind a connection is.
 *
 * Pure.  By "The PROXY protocol", versions 1 and 2, of HAProxy's documentation (proxy-protocol.txt).
 */
#ifndef HOLDFAST_BASE_PROXY_HEADER_H
#define HOLDFAST_BASE_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PROXY_HEADER_ID_MAX 128 /* bytes of an id that are said */
/* The longest: IPv6 addresses, an id, three numbers. */
#define PROXY_HEADER_MAX    (16 + 36 + 3 + PROXY_HEADER_ID_MAX + 3 * (3 + 4))

/* Of our own: four bytes each, the most significant first. */
#define PROXY_HEADER_UID 0xe0
#define PROXY_HEADER_GID 0xe1
#define PROXY_HEADER_PID 0xe2

enum proxy_version { PROXY_NONE, PROXY_V1, PROXY_V2 };

/* Who has connected, and to what: TCP addresses of one family.  Of others it is said that they are not known, in
 * version 2 by the command LOCAL: HAProxy ends a connection whose family is AF_UNIX. */
struct proxy_header {
	enum proxy_version version; /* not NONE */
	struct sockaddr_storage source, destination;
	bool has_user;              /* of a Unix client: */
	uint32_t uid, gid, pid;     /* pid 0: not known */
	const char *id;             /* borrowed: what the connection is called; NULL: nothing.  Version 2 only */
};

/* Its length. */
size_t proxy_header_write(const struct proxy_header *header, unsigned char ret_bytes[PROXY_HEADER_MAX]);

/* The header of a connection that is no client's but the sender's own (LOCAL); of NONE there is none: 0. */
size_t proxy_header_local(enum proxy_version version, unsigned char ret_bytes[PROXY_HEADER_MAX]);

#endif
