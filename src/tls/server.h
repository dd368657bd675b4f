/* server.h - the socket of holdfast-tls, and all its sessions. */
#ifndef HOLDFAST_TLS_SERVER_H
#define HOLDFAST_TLS_SERVER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct server_options {
	const char *socket;   /* borrowed: the path, unless systemd hands a socket over */
	char **argv;          /* borrowed: what an upgrade executes */
	unsigned max_sessions;
	int64_t stop_timeout; /* microseconds, CLOCK_NEVER: none */
};

struct server;

/* Listens.  NULL: it cannot, which is logged.  options is borrowed. */
struct server *server_new(struct event_base *loop, const struct server_options *options);

/* Ends all sessions at once.  NULL is fine. */
void server_free(struct server *server);

/* Listens no more; the loop ends when the last session has, or after stop_timeout.  The second time: at once. */
void server_stop(struct server *server);

/* Starts the program again, which takes the socket over; then the loop ends with the last session. */
void server_upgrade(struct server *server);

#endif
