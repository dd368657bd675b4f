/* lingering.h - what moves the bytes of a client that is turned away: it is told why, and heard until it ends.
 *
 * A socket that is closed while its client still speaks gives that client a broken pipe in place of the answer that
 * lies ready for it.  So a client that is turned away is given its answer, writing is shut down, and what it says is
 * read and dropped until it ends, for a time that is its owner's to set and up to a number of bytes; then it is
 * closed.
 *
 * The record is LINGERING meanwhile, so that a new worker resumes where a dead one was: the answer lies in a buffer
 * of the record, and is given once.
 */
#ifndef HOLDFAST_CLIENT_LINGERING_H
#define HOLDFAST_CLIENT_LINGERING_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "keep/table.h"

/* Most bytes that are read and dropped: of a request that is not looked at; of a message that is longer than it may
 * be, whose client reads nothing before it has sent it all. */
#define LINGERING_REQUEST (64u << 10)
#define LINGERING_MESSAGE (16u << 20)

struct lingering {
	struct event_base *loop; /* borrowed */
	struct table *table;     /* borrowed */
	uint32_t index;          /* of the client's record */
	unsigned most, dropped;  /* bytes that may be, and that were */
	bool said, silent;       /* all that is to be said; it, for good */
	struct event read, write;
};

/* Prepares the record, whose events are stopped: text (borrowed; may be NULL or "") is to be said to it, unless a
 * dead worker has said so.  The events call on_event, which is to call lingering_work(), as does whoever begins. */
void lingering_begin(struct lingering *lingering, struct event_base *loop, struct table *table, uint32_t index,
    const char *text, unsigned most, event_callback_fn on_event, void *arg);

/* Says and hears what can be now.  Whether nothing is left to be: it is to be closed. */
bool lingering_work(struct lingering *lingering);

/* Deletes its events. */
void lingering_stop(struct lingering *lingering);

#endif
