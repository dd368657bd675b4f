/* load.h - what the parts of the load generator share. */
#ifndef HOLDFAST_TESTS_LOAD_H
#define HOLDFAST_TESTS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum kind {
	BULK,         /* both directions at once, then each side ends its own */
	PING,         /* one connection, round trips of varying size */
	ASK,          /* connect, one round trip, close */
	HALF,         /* send, shutdown, then read the whole answer */
	SLOW,         /* as bulk, read at 3 MiB/s */
	SERVER_RESET, /* the server's bytes, then its reset */
	CLIENT_RESET, /* the client's bytes, then it closes with unread data */
	KINDS
};

#define LOAD_MARKS 1024u /* measurements at most */

struct end; /* of an exchange, the client's or the server's */
TAILQ_HEAD(sleepers, end);

struct load {
	const char *path;          /* of the service's socket */
	int epoll, listener;
	int64_t now, stop, progress, think; /* microseconds */
	uint64_t seed, bulk_bytes;
	unsigned slots[KINDS];     /* clients of each kind */
	unsigned unseen;           /* slots without a first byte */
	unsigned busy;             /* slots with a connection */
	unsigned server_ends;      /* exchanges under way at the server */
	unsigned errors, backlog_full;
	uint64_t done[2][KINDS];   /* exchanges ended well, counted by client and by server */
	uint64_t bytes, round_trips;
	unsigned marks;
	int64_t mark[LOAD_MARKS];  /* worst round trip since each mark */
	struct end *clients;       /* the slots */
	unsigned client_count;
	struct sleepers sleepers;
};
extern struct load load;
extern const char *const kind_names[KINDS];

uint64_t mix(uint64_t x); /* splitmix64 */

/* The stream's bytes from offset on; to has room for len + 16. */
unsigned char *stream_at(unsigned char *to, uint64_t seed, bool from_server, uint64_t offset, size_t len);

/* A size from 1 byte to 2^bits, small ones as likely as large ones. */
uint64_t some_size(uint64_t seed, unsigned bits);

/* Makes the slots of the clients and begins their first exchanges. */
void clients_begin(void);

/* Takes what Holdfast has dialled. */
void server_accept(void);

/* Goes on with an end for which epoll has something. */
void end_work(struct end *end, uint32_t events);

/* Goes on with the ends whose pause is over.  Gives the microseconds to the next one, or -1. */
int64_t sleepers_wake(void);

/* The worst round trip of the slot's ping, microseconds; -1: not a ping. */
int64_t client_worst(unsigned slot);

/* Tells on standard error what the clients that are not finished wait for. */
void clients_complain(void);

#endif
