/* record.h - an upstream's part of the table: what a new worker resumes (P26).
 *
 * The state of the machine, and what of the outage was reported, lie in one of two places; a step is made in the
 * other one, and current, one word, is its commit (T4).  Texts and counters are written before it.
 */
#ifndef HOLDFAST_UPSTREAM_RECORD_H
#define HOLDFAST_UPSTREAM_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "keep/table.h"
#include "upstream/catalog.h"
#include "upstream/endpoints.h"
#include "upstream/pconn.h"
#include "upstream/repeats.h"

#define RECORD_ERROR_SIZE 512
#define RECORD_ADDRESS_SIZE 120 /* of a socket: "unix:" and 107 bytes */
#define RECORD_NOTICES    65 /* one with the notify program, 64 that wait */
#define RECORD_WITHDRAWN  "withdrawn by the lookup" /* why a connection is given up */

struct record_place {
	struct pconn pconn;
	struct repeats repeats;
	uint16_t told; /* the endpoint that was told last as connected; 0 none */
};

/* An event that waits for the notify program. */
struct record_notice {
	uint32_t kind;
	uint32_t failures;
	char address[RECORD_ADDRESS_SIZE];
	char error[112];
};

struct record_counters {
	uint64_t outages, attempts, connects, disconnects, lookup_failures, expiries, handler_failures,
	    notify_dropped;
};

/* Of lookups; times are monotonic. */
struct lookup_record {
	volatile int64_t script_at; /* the last start of the script, 0 none */
	volatile int64_t ended_at;  /* the end of the last lookup that counts, 0 none */
	volatile int64_t good_for;  /* of the last one that was good, at least 1 s; 0: no limit */
	volatile uint32_t roll;     /* of the next refresh */
	volatile uint32_t names;    /* host names were among what it gave */
};

struct upstream_record {
	volatile uint32_t current;
	volatile uint32_t begun;       /* 0: nothing but the counters counts */
	struct record_counters counters;
	struct record_place place[2];
	char address[ADDRESS_TEXT_SIZE]; /* of the last endpoint that was dialled, or the connection */
	uint16_t number;               /* the same's, of the last connection; 0 none */
	uint16_t random;               /* the source means no order: pick = "auto" is "random" */
	char told[ADDRESS_TEXT_SIZE];  /* where it was connected to, as people were told it last */
	char taking_over[ADDRESS_TEXT_SIZE]; /* of the last standby that took over */
	char error[RECORD_ERROR_SIZE];   /* of the last failure, as the handler is told it */
	char last_error[RECORD_ERROR_SIZE + ADDRESS_TEXT_SIZE + 16]; /* the same, as people are told it */
	char abort_error[RECORD_ERROR_SIZE];
	uint64_t noted;                /* hash of the last lookup result in the history */
	uint64_t passed_over[CATALOG_PASSED]; /* hashes of the log's lines of entries that are ignored now */
	int64_t last_error_at;         /* wall clock, 0 none */
	int64_t since;                 /* wall clock: of the state shown */
	int64_t down_since;            /* wall clock, 0 while up */
	int64_t still_down_at;         /* monotonic: when the next line about it is due, 0 while up */
	uint32_t shown;                /* enum upstream_state */
	uint32_t purposely;            /* the connection was given up, not lost */
	uint64_t outage_at;            /* monotonic: since when it is down; 0: it is not */
	volatile uint32_t renewed;     /* by a reload, and the machine was not told yet */
	volatile uint32_t notice_first, notice_next; /* count up */
	struct record_notice notice[RECORD_NOTICES];
	struct lookup_record lookup;
	struct endpoints endpoints;    /* the last: those beyond its high are never touched */
};

_Static_assert(sizeof(struct upstream_record) <= TABLE_UPSTREAM_SIZE,
    "an upstream's record has no room in the table");
_Static_assert(sizeof(struct pconn) < 512, "the machine is small");

static inline struct upstream_record *
record_of(const struct table *table, uint16_t service)
{
	return (struct upstream_record *)(void *)table->services[service].upstream;
}

/* The place in force. */
static inline struct record_place *
record_current(struct upstream_record *record)
{
	return &record->place[record->current & 1];
}

static inline const struct pconn *
record_pconn(const struct upstream_record *record)
{
	return &record->place[record->current & 1].pconn;
}

/* P14's error of one that is closed; borrowed. */
const char *record_closed_error(const struct upstream_record *record);

/* The table's count of connections to each endpoint, as it is now; to be called before endpoints are asked. */
void record_count_open(struct table *table, uint16_t service, struct endpoints *e);

/* Where an endpoint is, for people; "" for a number that is stale. */
void record_address(const struct upstream_record *record, uint16_t number, char ret_text[ADDRESS_TEXT_SIZE]);

/* Puts the other place in force. */
void record_commit(struct upstream_record *record);

/* Forgets everything but the counters. */
void record_clear(struct upstream_record *record);

/* Nobody resumes what a dead worker had for the service: its programs and connections are ended, but those that
 * clients have, and its record forgotten. */
void record_forget(struct table *table, uint16_t service);

/* Copies a text, cutting it at size. */
void record_text(char *place, size_t size, const char *text);

#endif
