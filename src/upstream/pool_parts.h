/* pool_parts.h - struct pool, for the files that upstream/pool is made of:
 *
 * pool.c        the whole, and dials
 * pool_spare.c  ready connections
 */
#ifndef HOLDFAST_UPSTREAM_POOL_PARTS_H
#define HOLDFAST_UPSTREAM_POOL_PARTS_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "upstream/candidates.h"
#include "upstream/pool.h"
#include "upstream/probe.h"
#include "upstream/spare.h"

/* A ready connection. */
struct pool_spare {
	TAILQ_ENTRY(pool_spare) next;
	struct pool *pool;   /* borrowed */
	uint32_t conn;       /* its record */
	int fd;              /* the same's */
	int64_t since;
	char address[ADDRESS_TEXT_SIZE];
	char end[SPARE_TEXT_SIZE]; /* why it ended, as it was first seen: a socket tells its error once */
	bool spoke;          /* the server has: the event is edge-triggered, so that it does not come on and on */
	struct event event;
};

/* One on its way. */
struct pool_dial {
	TAILQ_ENTRY(pool_dial) next;
	struct pool *pool;   /* borrowed */
	uint32_t conn;       /* its record; 0: none */
	struct dial *dial;   /* owned; NULL none */
	struct hello *hello; /* owned; NULL none: spoken when dial has ended well */
	struct probe *probe; /* owned; NULL none: before the dial where it needs a connection of its own, else last */
	struct address address;
	char text[ADDRESS_TEXT_SIZE]; /* of it */
	uint64_t tried;      /* candidates, a bit each */
	unsigned generation; /* of the candidates */
	int64_t began;       /* the connect to this address, when */
	bool single;         /* the attempt's: no other candidate */
	int error;           /* of making its file; that is to be told by the timer */
	struct event event;  /* its watch; see dial_start() */
	struct loop_timer timer;
};

struct pool {
	struct event_base *loop;                /* borrowed */
	struct table *table;                    /* borrowed */
	uint16_t service;                       /* of its records */
	enum table_role role;                   /* the same */
	const struct dial_settings *settings;   /* borrowed */
	const struct hello_settings *hello;     /* borrowed */
	const struct pool_callbacks *callbacks; /* borrowed */
	void *arg;                              /* borrowed */
	struct candidates candidates;
	unsigned ready, dialling;
	struct loop_timer tuning;               /* of those that have lived for a while */
	TAILQ_HEAD(pool_spares, pool_spare) spares; /* oldest first */
	TAILQ_HEAD(pool_dials, pool_dial) dials;
};

/* A record that has become READY, to be watched. */
void pool_add_spare(struct pool *pool, uint32_t conn, const char *address);

/* Forgets a ready one; its record and file stay. */
void pool_release(struct pool_spare *spare);

/* Sees to those that are old enough. */
void pool_on_tuning(evutil_socket_t fd, short what, void *arg);

#endif
