/* tunnel.h - a session once TLS is up: moves bytes both ways between a Unix socket and TLS.
 *
 * Only what the other side does not take at once is kept, at most TUNNEL_PIECE bytes each way; until it is gone
 * nothing more is read on that way.  An idle tunnel has no buffer.  An end of the local side becomes close_notify,
 * and that of the server an end of writing; each way ends by itself.
 */
#ifndef HOLDFAST_TLS_TUNNEL_H
#define HOLDFAST_TLS_TUNNEL_H

#include <event2/event.h>
#include <openssl/ssl.h>

#include "tls/mysql.h"

#define TUNNEL_PIECE 65536
#define TUNNEL_USER_TIMEOUT 30000 /* milliseconds; the remote socket's, from its dial on */

enum tunnel_end {
	TUNNEL_CLOSED,    /* both have ended */
	TUNNEL_GONE,      /* the local side is gone */
	TUNNEL_TRUNCATED, /* the server's bytes ended without close_notify: some may be missing */
	TUNNEL_BROKEN,    /* an error with the server */
};

struct tunnel;

/* What both sides are, and what each of them is to be sent first. */
struct tunnel_sides {
	int local, remote;  /* become the tunnel's */
	SSL *ssl;           /* becomes the tunnel's; the handshake is over */
	const char *to_local, *to_remote;               /* borrowed during the call */
	size_t to_local_length, to_remote_length;
	const struct mysql_login *login; /* borrowed during the call; NULL: packets are not numbered */
};

/* Both sockets are closed and the tunnel is freed when this is called; text is why, "" if it is no error. */
typedef void tunnel_ended(void *arg, enum tunnel_end end, const char *text);

struct tunnel *tunnel_start(struct event_base *loop, const struct tunnel_sides *sides, tunnel_ended *ended,
    void *arg);

/* Ends it at once; no callback.  NULL is fine. */
void tunnel_cancel(struct tunnel *tunnel);

#endif
