/* listing.h - where a service is: its look-ups, whoever wants them, and the list of endpoints that they give. */
#ifndef HOLDFAST_UPSTREAM_LISTING_H
#define HOLDFAST_UPSTREAM_LISTING_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "keep/table.h"
#include "upstream/lookup.h"

enum listing_asker { LISTING_ATTEMPT, LISTING_STANDBY, LISTING_REFRESH };

struct listing_callbacks {
	/* A look-up has ended: the table has what it gave, which source it was included; or error is why it gave
	 * nothing, and aborts whether it wants all attempts ended (P21). */
	void (*listed)(void *arg, enum listing_asker asker, const char *error, bool aborts);
	/* The list has changed, or is going to: what did not succeed may do so now (P24). */
	void (*changed)(void *arg);
};

struct listing;

/* Of the service with this index; settings and callbacks are borrowed.  Goes on with what a dead worker knew. */
struct listing *listing_new(struct event_base *loop, struct table *table, uint16_t service,
    const struct lookup_settings *settings, const struct listing_callbacks *callbacks, void *arg);
void listing_free(struct listing *listing);

/* Other settings: of the same source; or anew: what was found out is void. */
void listing_set(struct listing *listing, const struct lookup_settings *settings);
void listing_renew(struct listing *listing, const struct lookup_settings *settings);

/* A new worker: what the dead one had not come to, whether what is missing is withdrawn and how a catalog has
 * changed, is looked for. */
void listing_resume(struct listing *listing);

/* Looks up for an attempt or a standby, again if it does so already; or does so no more. */
void listing_ask(struct listing *listing, enum listing_asker asker);
void listing_leave(struct listing *listing, enum listing_asker asker);

/* Borrowed, until listing_renew(). */
struct lookup *listing_lookup(const struct listing *listing);

#endif
