/* conn.h - one connection to an endpoint that no client has: dialled, spoken on (TLS, hello, probe), and then ready;
 * and the socket options of one that is used.
 *
 * It has its record in the table, DIALLING or READY, before the connect, so that a new worker finds it.  What the
 * endpoint's state is told of it, and what becomes of it, is the owner's affair: upstream/pool.
 */
#ifndef HOLDFAST_UPSTREAM_CONN_H
#define HOLDFAST_UPSTREAM_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/address.h"
#include "base/loop.h"
#include "base/proxy_header.h"
#include "keep/table.h"
#include "upstream/hello.h"
#include "upstream/tls_hello.h"

#define CONN_TEXT_SIZE 400 /* why a ready one has ended; the longest is 80 escaped bytes that it said */

struct conn_settings {
	int64_t connect_timeout;
	int keepalive_idle, keepalive_interval, keepalive_count; /* seconds, seconds, probes; idle 0: off */
	int user_timeout;                                        /* milliseconds; 0: the kernel's */
	struct probe_settings probe;                             /* asked before a connection is used */
	enum proxy_version proxy;                                /* of what is said first on each connection */
	bool mptcp;                                              /* asked for, where the kernel has it */
	struct tls_settings tls;                                 /* of the way by holdfast-tls, in place of TCP */
};

struct conn;

struct conn_callbacks {
	/* It is ready; its dial began then. */
	void (*ready)(void *arg, struct conn *conn, int64_t began);
	/* It has failed, and is closed, but not freed.  aborts: a server's answer to hello ends all attempts (P21);
	 * local: this host has no file descriptor or memory for it, which tells nothing of the endpoint. */
	void (*failed)(void *arg, struct conn *conn, const char *error, bool aborts, bool local);
	/* The server has ended it while it was ready: it is still open.  text says more, or is "". */
	void (*ended)(void *arg, struct conn *conn, const char *text);
	/* The server has spoken on a ready one, which nobody asked it for; what it said stays unread. */
	void (*spoke)(void *arg, struct conn *conn);
};

/* What the connections of a service have in common.  All borrowed. */
struct conn_maker {
	struct event_base *loop;
	struct table *table;
	uint16_t service;
	const struct conn_settings *dial;
	const struct hello_settings *hello;
	const struct conn_callbacks *callbacks;
	void *arg;
};

struct conn {
	TAILQ_ENTRY(conn) entry;         /* the owner's */
	const struct conn_maker *maker;  /* borrowed */
	void *owner;                     /* borrowed: what it is dialled for; the owner's to use */
	uint32_t index;                  /* its record; 0: none yet, or no more */
	uint16_t number;                 /* its endpoint's */
	enum table_role role;            /* what it is for; once ready the owner's to change */
	bool ready;
	bool aside;                      /* fd is a probe's own connection, owned; its own is dialled after that */
	int fd;                          /* what is dialled, spoken on, or ready */
	int64_t began;                   /* the dial; once ready, since when it is that */
	int64_t deadline;                /* of the connect */
	struct address address;          /* of a dial */
	struct tls_hello *tls;           /* owned; NULL none */
	struct tls_session session;      /* with TLS, once that is open */
	struct hello *hello;             /* owned; NULL none */
	bool over;                       /* by the call that opened it or began to connect: the timer tells it */
	int error;                       /* with that: 0, a positive errno, or CONN_LOOP */
	bool plain;                      /* TCP was dialled where MPTCP was asked for: the kernel has none */
	bool spoke;                      /* the server has: the event is edge-triggered, so that it comes once */
	char end[CONN_TEXT_SIZE];        /* why it ended, as it was first seen: a socket tells its error once */
	struct event event;              /* of a dial */
	struct event watch;              /* of a ready one */
	struct loop_timer timer;         /* time-out, retry, or that it is over; of a ready one: it is to be tuned */
};

/* Dials the endpoint of this number at this address, for this role.  Never calls back before it returns. */
struct conn *conn_dial(const struct conn_maker *maker, enum table_role role, uint16_t number,
    const struct address *address);

/* What a dead worker left, and nobody has: a READY one is watched, and tuned when it is old enough; so is one that
 * got connected meanwhile, and on which nothing is to be said.  Others, and all without keep, are closed (B6):
 * NULL. */
struct conn *conn_adopt(const struct conn_maker *maker, uint32_t index, bool keep);

/* Frees the process's side of a ready one; its record and file descriptor stay. */
void conn_free(struct conn *conn);

/* Closes it and frees it. */
void conn_close(struct conn *conn);

/* Whether a ready one has ended (P29), though the loop has not told so yet; then it will. */
bool conn_has_ended(struct conn *conn);

/* Before another event is added for a ready one's descriptor: this one may not stand beside it. */
void conn_make_room(struct conn *conn);

/* Sets keepalive and user time-out on a connection; the same, once, on one of the table that all share: nothing of
 * what one of them writes shall wait for the answers to what was written before. */
void conn_tune(int fd, const struct conn_settings *settings);
void conn_tune_shared(const struct conn_maker *maker, uint32_t index);

/* Whether it is an MPTCP connection now: it was asked for, and the server has it too. */
bool conn_is_mptcp(int fd);

#endif
