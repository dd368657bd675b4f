/* lookup.h - where are the endpoints of this service now?  Asks whichever source the settings name.
 *
 * One lookup gives endpoints, best first, host names resolved (upstream/resolver), in the source's
 * order.  Sources: fixed addresses, a script, a catalog (upstream/catalog).
 *
 * A script that watches (upstream/script_watch) gives its last list; where that does not count, it is run for one
 * answer like any other.
 *
 * While its owner wants that it looks again by itself (P32): a script is run, and host names are resolved, every
 * lookup.refresh; host names, unless a script gave them, as soon as the shortest time to live among them is over.
 */
#ifndef HOLDFAST_UPSTREAM_LOOKUP_H
#define HOLDFAST_UPSTREAM_LOOKUP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "upstream/catalog.h"
#include "upstream/endpoints.h"
#include "upstream/lookup_settings.h"

/* The end of a lookup.  Valid during the callback only. */
struct lookup_result {
	const char *error;         /* NULL on success; else the cause, whole: "lookup script: exit 1: no route" */
	const char *abort_reason;  /* not NULL: the script said abort: (P21); error is NULL then */
	const struct endpoint_listed *endpoints; /* those of one order are one name's */
	size_t endpoint_count;     /* 1 to ENDPOINTS_MAX on success */
	size_t listed_count;       /* with those behind them that stay listed: of a name that gave nothing */
	bool random;               /* no order is meant: a catalog's directory */
	int64_t good_for;          /* microseconds: the shortest ttl of the names among them; CLOCK_NEVER: no limit */
	const char *incomplete;    /* not NULL: the error of a name that gave nothing, or no answer for a kind of
	                            * addresses that it had, while there is something else */
	const char *kept_error;    /* not NULL: it failed so, and keep_last gave the last ones; error is NULL */
	int64_t took;              /* microseconds; of all who share it, since it began */
	const char *output, *errors; /* of a script, for "holdfastctl lookup -v"; else "" */
};

typedef void lookup_callback(void *arg, const struct lookup_result *result);

/* Who asks, a bit each; 0: an operator, whose answer is told and nothing else. */
#define LOOKUP_ATTEMPT 1u
#define LOOKUP_STANDBY 2u
#define LOOKUP_REFRESH 4u

struct lookup_callbacks {
	catalog_callback *catalog;        /* P24 */
	void (*news)(void *arg);          /* the same, of a watched script's list */
	/* A watched script has ended, for this cause, and is run again at the time; same: as it did before. */
	void (*unwatched)(void *arg, const char *error, int64_t again, bool same);
	int64_t (*delay)(void *arg, unsigned failures); /* P4: until it is run again */
	uint32_t (*roll)(void *arg);      /* 32 random bits */
	/* A lookup of these has ended, well or not; who waits for it is told after that. */
	void (*ended)(void *arg, unsigned askers, const struct lookup_result *result);
};

struct upstream_record;
struct lookup;
struct lookup_record;

/* A source, kept as long as the service: it watches its catalog.  Everything is borrowed.  Of the record it keeps
 * record->lookup; what is listed there is what lookup.keep_last gives.  groups: of the service's programs, by enum
 * table_group, see base/child.h; NULL: nobody wants to know them. */
struct lookup *lookup_new(struct event_base *loop, const char *service, const struct lookup_settings *settings,
    volatile pid_t *groups, struct upstream_record *record, const struct lookup_callbacks *callbacks, void *arg);

/* Whether it looks again by itself from now on; false at first.  One under way is left where it is false. */
void lookup_refresh(struct lookup *lookup, bool on);

/* Whether a script that watches is run from now on; false until then, or until somebody but an operator asks. */
void lookup_watch(struct lookup *lookup, bool on);

/* A refresh is wanted by then (monotonic), if it looks again by itself at all: of a catalog or a script that is
 * watched, or with lookup.refresh. */
void lookup_refresh_by(struct lookup *lookup, int64_t at);

/* When the next refresh is due, CLOCK_NEVER if none is.  Pure. */
int64_t lookup_due(const struct lookup_record *record, const struct lookup_settings *settings);

/* Takes over these settings in place of the previous ones, which say the same of where to look.  A wait for
 * min_interval or a refresh restarts. */
void lookup_set(struct lookup *lookup, const struct lookup_settings *settings);

/* Who still waits gets an error through the loop (the owner leaves first and gets none); may be called from a
 * callback of this very lookup. */
void lookup_free(struct lookup *lookup);

/* Joins the lookup under way, or starts one, for one of these askers: all who wait share its result.  The next
 * refresh comes after it, unless operators alone have asked.  Never calls back before it returns.  The result is the
 * waiter's handle, for lookup_leave(). */
struct lookup_waiter;
struct lookup_waiter *lookup_ask(struct lookup *lookup, unsigned asker, lookup_callback *callback, void *arg);

/* Waits no longer; no callback.  NULL is fine.  The lookup itself continues for others, or is ended if there are
 * none. */
void lookup_leave(struct lookup_waiter *waiter);

/* Since when a lookup runs (monotonic), or 0; one whose script may not be run yet does not. */
int64_t lookup_running_since(const struct lookup *lookup);

/* The catalog, to ask what is ignored; NULL where the source is another.  Borrowed. */
const struct catalog *lookup_catalog(const struct lookup *lookup);

/* "address 10.0.0.1:5", "script /x/y", "catalog /x/y": for status. */
const char *lookup_describe(const struct lookup *lookup);

#endif
