/* pending.h - requests whose answer comes later, all in one list: they look now and then whether it is time, they are
 * told what they have waited for, or they work on a long answer, LOOP_BITS bits of all such in a turn of the loop.
 *
 * A kind of request has a struct that begins with struct pending.
 */
#ifndef HOLDFAST_CONTROL_PENDING_H
#define HOLDFAST_CONTROL_PENDING_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "control/control.h"

struct pending;

struct pending_kind {
	size_t size; /* of its struct: bytes */
	bool order; /* all its work is done at once: it outlives its connection, and orders keep their sequence */
	/* It is time: answers the request and gives 0, or gives when to look again (monotonic, or CLOCK_NEVER). */
	int64_t (*look)(struct pending *pending, int64_t now);
	/* What pending_answer() has told: answers the request, or begins to (pending_work()). */
	void (*done)(struct pending *pending, void *result);
	/* Does one bit of the work; false: that was the last one, and the request was answered. */
	bool (*work)(struct pending *pending);
	/* It has been answered, or its connection has gone: leaves and frees what is its own.  NULL: nothing. */
	void (*end)(struct pending *pending);
};

struct pending {
	TAILQ_ENTRY(pending) entry, work_entry;
	const struct pending_kind *kind;
	struct pendings *all;            /* borrowed */
	struct control_request *request; /* borrowed */
	void *context;                   /* borrowed; the command's */
	char *name;                      /* owned; NULL none */
	int64_t span, deadline;          /* its time, and when that is over; for its kind */
	unsigned topic;                  /* what it waits to be told of; 0 nothing */
	bool works;
	struct loop_timer timer;
};

struct pendings {
	struct event_base *loop;         /* borrowed */
	TAILQ_HEAD(pending_list, pending) list, working;
	struct loop_work work;
};

void pendings_init(struct pendings *all, struct event_base *loop);

/* All requests must be gone (control_free() first). */
void pendings_end(struct pendings *all);

/* A new one of this kind, all else of its struct zero, to be freed with pending_free(): that happens by itself when
 * it is answered or its connection goes.  Name (copied) may be NULL. */
void *pending_new(struct pendings *all, const struct pending_kind *kind, struct control_request *request,
    void *context, const char *name);
void pending_free(struct pending *pending);

/* Looks at this time (monotonic) for the first time; 0: in this turn of the loop. */
void pending_look_at(struct pending *pending, int64_t when);

/* Works when those before it have ended: its first bits in this turn of the loop if there are none.  An order works
 * before this returns, and is freed. */
void pending_work(struct pending *pending);

/* Tells all who wait for the topic the result, which is borrowed: it must last as its kinds say. */
void pending_answer(struct pendings *all, unsigned topic, void *result);

/* Whether somebody waits for the topic; makes all those wait for another one. */
bool pending_waits(const struct pendings *all, unsigned topic);
void pending_move(struct pendings *all, unsigned topic, unsigned to);

#endif
