/* lingering.h - the clients that are turned away: each is told why, and closed when it has heard it.
 *
 * A socket that is closed while its client still speaks gives that client a broken pipe in place of the answer that
 * lies ready for it.  So a client that is turned away is given its answer, writing is shut down, and what it says is
 * read and dropped until it ends, for a second at most and up to a number of bytes; then it is closed.
 *
 * To turn a client away: it has a record in the table (held, or of shared mode), its events are
 * stopped, and nobody else has it; lingering_begin() then is the last that is done to it.  Shared mode need
 * not come here: a client that ends by mux_client_finish() is given its pending replies first, and its end,
 * by client_is_over(), leads here.
 *
 * The record is LINGERING meanwhile, so that a new worker resumes where a dead one was: the answer lies in a buffer
 * of the record, and is given once.
 */
#ifndef HOLDFAST_CLIENT_LINGERING_H
#define HOLDFAST_CLIENT_LINGERING_H

#include <event2/event.h>
#include <stdint.h>

#include "keep/table.h"

/* So many at once of all services; beyond, a service's oldest is closed at once. */
#define LINGERING_MOST 1024u

struct lingering;

/* Most bytes that are read and dropped: of a request that is not looked at; of a message that is longer than it may
 * be, whose client reads nothing before it has sent it all. */
#define LINGERING_REQUEST (64u << 10)
#define LINGERING_MESSAGE (16u << 20)

/* most is one of these.  table is borrowed.  ended is called whenever one has ended and is closed; not by
 * lingering_begin() or lingering_resume(). */
struct lingering *lingering_new(struct event_base *loop, struct table *table, unsigned most,
    void (*ended)(void *arg), void *arg);

/* Frees the process's side only: the records live on.  NULL is fine. */
void lingering_free(struct lingering *lingering);

/* The client of this record is turned away; text (borrowed; may be NULL or "") is said to it.  The record may be free
 * when this returns: a client that has ended already is closed at once. */
void lingering_begin(struct lingering *lingering, uint32_t index, const char *text);

/* The same for a record that a dead worker has left LINGERING. */
void lingering_resume(struct lingering *lingering, uint32_t index, const char *text);

/* Closes those whose time is over at this point of the monotonic clock.  A timer calls it. */
void lingering_look(struct lingering *lingering, int64_t now);

/* Closes all at once. */
void lingering_close(struct lingering *lingering);

unsigned lingering_count(const struct lingering *lingering);

#endif
