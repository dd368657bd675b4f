/* upstream_log.h - what is told of a service's upstream: events, their history, log lines, texts of status. */
#ifndef HOLDFAST_UPSTREAM_UPSTREAM_LOG_H
#define HOLDFAST_UPSTREAM_UPSTREAM_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "keep/table.h"
#include "upstream/pconn.h"
#include "upstream/upstream_settings.h"

#define UPSTREAM_BY_SIZE 64 /* a user's name */

/* Kinds of struct upstream_event and of the history's entries. */
enum upstream_event_kind {
	UPSTREAM_ATTEMPTING,   /* attempting_to_connect */
	UPSTREAM_OBTAINED,     /* obtained_address */
	UPSTREAM_FAILED,       /* failed_to_connect */
	UPSTREAM_CONNECTED,
	UPSTREAM_DISCONNECTED,
	UPSTREAM_NOTE,         /* history only: lookup results, rest, expiry, what operators did */
};

/* What subscribers and handlers are told. */
struct upstream_event {
	enum upstream_event_kind kind;
	const char *address; /* borrowed; "" if none */
	const char *error;   /* borrowed; "" if none */
	unsigned failures;
};

/* The event's name as handlers are told it: "attempting_to_connect" ... "note". */
const char *upstream_event_name(enum upstream_event_kind kind);

enum upstream_state {
	UPSTREAM_IDLE, UPSTREAM_CONNECTING, UPSTREAM_IS_CONNECTED, UPSTREAM_WAITING, UPSTREAM_CLOSING,
	UPSTREAM_CLOSED, UPSTREAM_DRAINED, UPSTREAM_ABORTED
};
const char *upstream_state_name(enum upstream_state state); /* "idle" ... as status shows it */

/* The state of a machine; in_use: a connection is shared, whose end a drain waits for (P20). */
enum upstream_state upstream_state(const struct pconn *p, bool in_use);

/* A line of the service's history, and of the log. */
void upstream_note(struct table *table, uint16_t service, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

struct upstream_log;
struct upstream_context;

/* It keeps the texts, times and counts of events in the record.  context is borrowed. */
struct upstream_log *upstream_log_new(const struct upstream_context *context);
void upstream_log_free(struct upstream_log *log);

/* Which operator has it fail (copied). */
void upstream_log_set_order(struct upstream_log *log, const char *by);
void upstream_log_end_order(const struct upstream_log *log);

/* A failure: as the handler is told it; what failed ("dial 10.0.0.1:5", "" for nothing to add) for people.  Or that
 * of an attempt that fails for an operator. */
void upstream_log_set_error(const struct upstream_log *log, const char *what, const char *error);
void upstream_log_set_failing(const struct upstream_log *log);

/* Why the connection is lost or given up, for the handler of disconnected; no error.  On purpose: no outage.  The
 * shared one has ended: for this reason, unless its end was waited for. */
void upstream_log_set_reason(const struct upstream_log *log, const char *reason);
void upstream_log_set_purpose(const struct upstream_log *log, const char *reason);
void upstream_log_set_end(const struct upstream_log *log, const char *reason);

/* Before a step: of which endpoint it tells, 0 none, and what is wrong with that, NULL nothing.  While connected, it
 * tells of no endpoint whose dial failed. */
void upstream_log_note_dial(const struct upstream_log *log, enum pconn_event event, uint16_t number,
    const char *error);

/* Why the next reconnect gives the connection up (borrowed), where it is no operator's. */
void upstream_log_set_reconnect(struct upstream_log *log, const char *reason);

/* Before a step is put in force: what it does is counted, and named. */
void upstream_log_note_step(struct upstream_log *log, const struct pconn *after, enum pconn_event event,
    unsigned todo);

/* The event that the machine reported last. */
struct upstream_event upstream_log_last(const struct upstream_log *log);

/* Counts it, and tells it in history and log, and to whom watches. */
struct upstream_event upstream_log_report(const struct upstream_log *log);

/* P28; how old the unused connection was that the server ended; 0: it spoke first. */
void upstream_log_rest(const struct upstream_log *log, int64_t age);

/* An endpoint is healthy again, or is not any more. */
void upstream_log_turned(const struct upstream_log *log, uint16_t number, bool good);

/* Whether it can be used as far as is known: the last thing that was learnt of it is no failure, and clients are not
 * refused. */
bool upstream_log_is_well(const struct upstream_log *log, bool refuses);

/* The state that is shown now; while it is not well that is said once a minute. */
void upstream_log_note_state(struct upstream_log *log, bool in_use, bool refuses);

#endif
