/* spool.h - messages without replies that go through the disk, so that they outlive an outage of the upstream, both
 * processes, and the machine.
 *
 * With fsync = "no" those go there that find the upstream down, or the queue full, and all that come while others are
 * there before them.  With "always" all do, first: a message is accepted when it is on the disk.  What is there goes
 * to mux_queue in order, and stays on the disk until the upstream's host has acknowledged it: at least once.
 *
 * It does its part in the mux's turn, and has that come when the disk (client/spool_thread) has done its own.
 */
#ifndef HOLDFAST_CLIENT_SPOOL_H
#define HOLDFAST_CLIENT_SPOOL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "client/mux_ask.h"

struct spool;

/* rules are borrowed, and so is turn, the mux's.  NULL: the settings have none. */
struct spool *spool_new(struct event_base *loop, struct mux_rules *rules, struct loop_timer *turn);

/* Its thread ends.  What waits for the disk is written first, as far as it can be.  NULL is fine. */
void spool_free(struct spool *spool);

/* The same, of a service that is removed: all of its messages that are not on the disk go there, the queue's too,
 * which the caller drops.  The loop does not wait for that.  NULL is fine. */
void spool_leave(struct spool *spool);

/* The turn begins: sees to what the disk has done, and decides where messages go (rules->spools). */
void spool_take(struct spool *spool, bool connected, int64_t now);

/* Clients have said what they had to say: messages go on, to the disk and from there to the queue. */
void spool_move(struct spool *spool, bool connected, int64_t now);

/* Whether messages wait in it. */
bool spool_has_some(const struct spool *spool);

/* For status. */
struct spool_status {
	bool there;            /* the service has a spool */
	uint64_t messages;     /* that wait in it, for the disk or for the upstream */
	uint64_t bytes;        /* of its files */
	int64_t oldest;        /* wall clock: when the first of its files was begun; 0: nothing waits */
	uint64_t damaged;      /* messages so far */
	const char *error;     /* borrowed until the next turn: why the disk does not take any; NULL: it does */
};
void spool_get_status(const struct spool *spool, struct spool_status *ret_status);

#endif
