/* endpoints.h - where a service is: its endpoints, and how each of them is.
 *
 * Pure: told what a lookup listed, what became of dials and connections, and when, it answers which one is to be
 * dialled in the background, what becomes of connections to one that is withdrawn, and when to look again.  Rules
 * P27, P31 and P33.  Which one the next connection goes to is upstream/race's.
 *
 * An endpoint is named by its number, which is never 0 and fits into a connection's record.  It keeps it as long as
 * it is listed, or used and one of the 64 last; then another gets its place with another number, and the old number
 * is known as stale: nothing is counted for it, and it counts as withdrawn.
 *
 * It lies in the shared table, holds no pointer, and all zero is an empty one.  A worker may die at any instruction:
 * - an endpoint is made by the store of its number, the last one; it is un-made by the same word, the first one;
 * - a lookup's result is written beside the one in force and put in force by one word, listing;
 * - what makes an endpoint failed, slow or withdrawn, and good again, is one word each, stored last: a death before
 *   it forgets an event, which the next dial or lookup tells again;
 * - counts of connections and dials are derived: those of connections are the table's, and whoever calls sets them
 *   before; those of dials a new worker begins with 0;
 * - counters and texts, for people only, may miss the event during which the worker died; a rotation that was half
 *   done restarts.
 *
 * How it is used:
 *   a new worker       endpoints_resume()
 *   a good lookup     endpoints_list(); then endpoints_judge() for each connection.  A failed one changes nothing:
 *                      what is listed stays so, which is all that lookup.keep_last needs
 *   a client's dials   race_step(); a standby's: likewise, among endpoints_unused()
 *   any dial's and connection's fate: endpoints_tell(), whoever wanted it
 *   while connected, after each of these and when it says: dial each that is endpoints_due() in the background
 *                      (telling BEGAN, so that it is not due again), and judge each connection again.  What a
 *                      background dial brings may be kept as an idle connection, or closed.  While there is no
 *                      connection neither is asked: attempts try all (P23), and background dials beside them would
 *                      only beat a dead server.
 */
#ifndef HOLDFAST_UPSTREAM_ENDPOINTS_H
#define HOLDFAST_UPSTREAM_ENDPOINTS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "upstream/delay.h"
#include "upstream/tls_talk.h"

#define ENDPOINTS_MAX        64
#define ENDPOINT_ERROR_SIZE  128 /* longer texts are cut */
#define ENDPOINT_FROM_SIZE   64
#define ENDPOINTS_GRACE      INT64_C(1000000) /* P33: two lookups are at least so far apart */

/* An endpoint's bit in a mask. */
#define ENDPOINTS_BIT(number) (UINT64_C(1) << ((number) % ENDPOINTS_MAX))

enum endpoints_pick {
	ENDPOINTS_ORDERED, ENDPOINTS_RANDOM, ENDPOINTS_ROTATE, ENDPOINTS_LEAST,
	ENDPOINTS_AUTO /* in settings alone: random where the source means no order, else ordered */
};
enum endpoints_on_withdrawn { ENDPOINTS_ON_KEEP, ENDPOINTS_ON_DRAIN, ENDPOINTS_ON_DROP };

/* Times in microseconds. */
struct endpoints_settings {
	enum endpoints_pick pick;
	int64_t stagger;           /* connect_stagger; 0: dials are not begun beside each other */
	int64_t health_interval;   /* health.interval; 0: only failed ones are dialled in the background */
	struct delay_settings retry;
	enum endpoints_on_withdrawn on_withdrawn;
	int64_t withdrawn_timeout; /* 0: never */
};

/* One of what a lookup has given. */
struct endpoint_listed {
	struct address address;        /* an ADDRESS_SOCKET; of a source, an ADDRESS_HOST too */
	char from[ENDPOINT_FROM_SIZE]; /* whose address it is, a host name, a catalog's file, perhaps cut; or "" */
	uint16_t priority, weight;     /* RFC 2782: less is better; 0 is the least weight */
	uint16_t order;                /* less is better; those of one order are alike */
};

/* Where one is, in one form only, so that equal places have equal bytes. */
struct endpoint_key {
	struct sockaddr_storage socket;
	socklen_t length;
	char interface[IF_NAMESIZE]; /* behind the %, found for each dial; "" none */
};

/* What a lookup said of an endpoint. */
struct endpoint_listing {
	volatile uint32_t in;          /* the lookup: listed if it is the one in force */
	uint16_t priority, weight, order;
};

struct endpoint {
	volatile uint16_t number;      /* 0: nothing of this counts.  The commit */
	uint16_t generation;           /* of the number */
	uint32_t open, dialling;       /* connections, which the caller sets; dials under way.  Derived */
	struct endpoint_listing listing[2]; /* that of lookup n at n & 1 */
	volatile int64_t failed_until; /* 0: healthy; else dialled in the background then (P31) */
	volatile int64_t slow_until;   /* 0: in time; else the last choice of the good ones, and dialled likewise */
	volatile int64_t missed_at;    /* first lookup in a row that did not list it; 0 none */
	volatile int64_t withdrawn_at; /* 0: not, or not yet.  It does not count while listed */
	int64_t turn;                  /* rotation by weight */
	int64_t failed_at;             /* last time that it turned or stayed failed */
	int64_t quarantine;            /* for how long */
	int64_t good_since;            /* last time that it was failed and turned good */
	int64_t listed_at;             /* since when it has this number */
	int64_t result_at;             /* of the last dial that ended by itself; 0 none */
	int64_t connected_at, took;    /* of the last dial that succeeded, and how long; 0 none */
	uint32_t failures;             /* in a row */
	uint32_t failures_before;      /* the last success */
	uint64_t connects, failures_total;
	char error[ENDPOINT_ERROR_SIZE]; /* of the last failure, kept after it */
	char from[ENDPOINT_FROM_SIZE];
	struct endpoint_key key;
	struct tls_session tls;        /* the last one; protocol "": none yet, or without TLS */
	uint64_t tls_opened, tls_resumed; /* sessions so far, and those of them that resumed another */
	int64_t tls_told;              /* wall clock: when people were told that a certificate is about to end */
};

struct endpoints {
	volatile uint32_t listing;     /* good lookups so far: the one in force.  A commit */
	volatile uint32_t high;        /* places from here on were never used */
	int64_t put_off_until;         /* no dial in the background before */
	struct endpoint list[ENDPOINTS_MAX];
};

/* What a lookup has changed, as bits of numbers.  Further connections may have become stale: judge all. */
struct endpoints_changes {
	uint64_t fresh;                /* listed, and was not before */
	uint64_t withdrawn;            /* is so from now on; gone with the next lookup if nothing uses it any more */
	bool reordered;                /* priority, weight or order of one that was listed have changed */
};

/* Puts a good lookup's result in force, best first.  Of equal addresses the first counts, of more than 64 the first
 * 64. */
struct endpoints_changes endpoints_list(struct endpoints *e, const struct endpoint_listed *listed, size_t count,
    int64_t now);

/* Another source is asked from now on, or dials are made in another way: nothing is listed until the next lookup,
 * the first of the two that withdraw what they do not list; no failure is remembered, nor that dials were put off. */
void endpoints_renew(struct endpoints *e);

enum endpoints_event {
	ENDPOINTS_BEGAN,     /* a dial, of whatever kind */
	ENDPOINTS_CONNECTED, /* a dial has succeeded, hello was answered: it is a connection now */
	ENDPOINTS_FAILED,    /* a dial, or its hello; with error */
	ENDPOINTS_CANCELLED, /* a dial is not wanted any more, or there was no descriptor or memory for it */
	ENDPOINTS_PUT_OFF,   /* the same lack, of one in the background: no fault of the endpoint's, tried later */
	ENDPOINTS_LATE,      /* a dial has not answered within connect_stagger, but may: upstream/race tells it */
	ENDPOINTS_ENDED      /* the server has ended a connection that nobody used (P27); with error */
};

struct endpoints_input {
	enum endpoints_event event;
	uint16_t number;
	int64_t now;
	int64_t began;       /* begin of the dial; of a connection: when it was connected */
	const char *error;   /* borrowed */
	uint32_t roll;       /* FAILED, ENDED, CONNECTED, PUT_OFF: 32 random bits, or DELAY_EXACT */
	const struct tls_session *tls; /* borrowed; CONNECTED: with TLS; NULL: without */
};

/* What it has changed. */
#define ENDPOINTS_FELL 1u    /* it was healthy and has failed, until failed_until */
#define ENDPOINTS_ROSE 2u    /* it had failed and is healthy again */

unsigned endpoints_tell(struct endpoints *e, const struct endpoints_settings *s, const struct endpoints_input *in);

/* When one is to be dialled in the background, and which: a failed or slow one whose time has come; with
 * health.interval one without a connection whose last dial was so long ago; where a connection is to move and no
 * listed endpoint has ever answered, any; none to which a dial is under way, and none within retry.delay after one
 * that was put off.  CLOCK_NEVER: not by time alone. */
int64_t endpoints_due(const struct endpoints *e, const struct endpoints_settings *s, uint16_t *ret_number);

/* When another lookup would tell whether what the last one did not list is withdrawn; CLOCK_NEVER: nothing is in
 * doubt. */
int64_t endpoints_doubtful_until(const struct endpoints *e);

/* Whether there is anything to go to: a listed one healthy, proven or not yet. */
bool endpoints_elsewhere(const struct endpoints *e);

/* When one of those was last known to be there: it answered a dial, or was listed, at listed_at; 0: there is none. */
int64_t endpoints_found_at(const struct endpoints *e, int64_t listed_at);

/* What to do with a connection (P33), used or idle. */
enum endpoints_verdict {
	ENDPOINTS_KEEP,
	ENDPOINTS_MOVE,  /* shared mode: when nothing is in flight; an attached session stays.  A listed endpoint has
	                  * answered, so that no outage comes of it */
	ENDPOINTS_DROP   /* close it */
};

/* An idle connection serves nobody, and the next client must not get where no dial of its would go: it is dropped as
 * soon as a lookup has not listed its endpoint, or that has failed while another is healthy (P31). */
enum endpoints_verdict endpoints_judge(const struct endpoints *e, const struct endpoints_settings *s, uint16_t number,
    bool idle, int64_t now);

/* Whether connections in use to this endpoint are to be left at all, now or later. */
bool endpoints_is_left(const struct endpoints *e, const struct endpoints_settings *s, uint16_t number);

/* From when on a connection in use is to be closed; CLOCK_NEVER: not by time.  left_at: since when the number is
 * stale, which is the caller's to know; 0: not known. */
int64_t endpoints_leaves_at(const struct endpoints *e, const struct endpoints_settings *s, uint16_t number,
    int64_t left_at);

/* A new worker's first call: no connection, no dial; what a death left half done is put right. */
void endpoints_resume(struct endpoints *e, int64_t now);

/* Whatever a damaged table has made of it: an endpoint that cannot be one is none, no wait ends after latest, nothing
 * was after now.  false: nothing of it is to be believed, but it can be followed. */
bool endpoints_audit(struct endpoints *e, int64_t latest, int64_t now);

enum endpoint_state { ENDPOINT_OK, ENDPOINT_FAILED, ENDPOINT_WITHDRAWN };

/* NULL if the number is stale.  Walk: each of list with a number. */
const struct endpoint *endpoints_find(const struct endpoints *e, uint16_t number);
enum endpoint_state endpoints_state(const struct endpoints *e, const struct endpoint *endpoint);

/* What the lookup in force says of it, or the last one that listed it. */
const struct endpoint_listing *endpoints_listing(const struct endpoints *e, const struct endpoint *endpoint);
bool endpoints_is_listed(const struct endpoints *e, const struct endpoint *endpoint);

/* The bits of those that are listed and have no connection and no dial. */
uint64_t endpoints_unused(const struct endpoints *e);

void endpoint_address(const struct endpoint *endpoint, struct address *ret_address);

#endif
