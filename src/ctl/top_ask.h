/* top_ask.h - the conversation of "holdfastctl top": status once a second, over worker deaths and restarts; it never
 * waits.
 */
#ifndef HOLDFAST_CTL_TOP_ASK_H
#define HOLDFAST_CTL_TOP_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/ask.h"

enum top_awaited { TOP_AWAITS_NOTHING, TOP_AWAITS_STATUS, TOP_AWAITS_EXPLAIN };

struct top_ask {
	const char *path;           /* borrowed; the control socket */
	struct ask ask;
	enum top_awaited awaited;
	int64_t asked_at;           /* monotonic; when the awaited was asked for */
	int64_t next;               /* monotonic; when to ask, or to connect, again */
	int64_t heard_at;           /* monotonic; when an answer came last */
	char *reason;               /* owned; why there is no connection, or NULL */
	json_t *status;             /* owned; the answer that has come, until it is taken */
	json_t *history;            /* owned; likewise, to "explain" */
};

/* Connects; 0 or a positive errno. */
int top_ask_begin(struct top_ask *top, const char *path, int64_t now);
void top_ask_end(struct top_ask *top);

/* Does what can be done now: reads, asks, connects again.  explained: whose history is wanted, or NULL. */
void top_ask_turn(struct top_ask *top, const char *explained, int64_t now);

/* Asks at the next turn, if nothing is awaited. */
void top_ask_hurry(struct top_ask *top, int64_t now);

/* When top_ask_turn() is to be called at the latest, though nothing can be read. */
int64_t top_ask_deadline(const struct top_ask *top);

/* Why nothing is heard, to be freed with mem_free(), or NULL while all is well. */
char *top_ask_away(const struct top_ask *top, int64_t now);

#endif
