/* listing.h - where a service is: its lookups, whoever wants them, the list of endpoints that they give, and which
 * connections that clients have are to be left, since their endpoint is (P33). */
#ifndef HOLDFAST_UPSTREAM_LISTING_H
#define HOLDFAST_UPSTREAM_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include "upstream/lookup.h"
#include "upstream/machine.h"

struct listing;

/* context is borrowed, and told what the source of lookups means; PCONN_WAKE is pushed when the list has changed, or
 * is going to: what did not succeed may do so now (P24).  Resumes what a dead worker knew. */
struct listing *listing_new(struct upstream_context *context);
void listing_free(struct listing *listing);

/* The context has other settings: of the same source; or of another: what was found out is void, and who asks the
 * lookup has left it before. */
void listing_set(struct listing *listing);
void listing_renew(struct listing *listing);

/* A new worker: what the dead one had not come to, whether what is missing is withdrawn and how a catalog has
 * changed, is looked for. */
void listing_resume(struct listing *listing);

/* Whether lookups are repeated (P32); a script that watches is run unless the service is closed. */
void listing_look(struct listing *listing, bool refresh);

/* When a healthy endpoint was last known to be there: endpoints_found_at(). */
int64_t listing_found_at(const struct listing *listing);

/* Whether a connection in use, to this endpoint, left at that time (0: not known), is to be closed now; else *next
 * becomes no later than when it will be. */
bool listing_drops(const struct listing *listing, uint16_t number, int64_t left_at, int64_t now, int64_t *next);

/* Has clients leave those of their own that are to be left now, by the context's callback; *next as above.  Of
 * session mode: whether what was told as connected is withdrawn, and another is to be had. */
bool listing_judge_clients(struct listing *listing, int64_t now, int64_t *next);

/* To be asked, which puts what it gives in the table before who asks is told.  Borrowed, until listing_renew(). */
struct lookup *listing_lookup(const struct listing *listing);

#endif
