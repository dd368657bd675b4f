/* catalog.h - where instances of a service publish their addresses: a directory of files, or one file for all.
 *
 * The form is that of the specification (section Catalog); which of the two it is, is seen again each time.  Watched
 * by inotify, and looked at every 30 s, or max_age / 2 if that is less, for what inotify does not see.  A directory
 * with very many names is read over several turns of the loop; until then what was last seen counts.
 *
 * A file's age runs from when we saw it change, by the monotonic clock, so that clock steps and skew withdraw
 * nothing; only what was there when we came is as old as its time of change says.
 */
#ifndef HOLDFAST_UPSTREAM_CATALOG_H
#define HOLDFAST_UPSTREAM_CATALOG_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "upstream/catalog_files.h"
#include "upstream/endpoints.h"

#define CATALOG_PASSED 64 /* entries that are ignored; further ones are counted only */

struct catalog;

/* An entry that does not count, and why. */
struct catalog_passed {
	char name[ENDPOINT_FROM_SIZE];/* its file's, perhaps cut, or "line 3" */
	char cause[CATALOG_CAUSE_SIZE];
};

/* What differs from before, a bit each: the list of valid entries; which entries are ignored, or why. */
#define CATALOG_CHANGED 1u
#define CATALOG_PASSES  2u

/* Called from the loop alone; may free the catalog. */
typedef void catalog_callback(void *arg, unsigned differs);

/* max_age: microseconds or CLOCK_NEVER; owners: names of users, NULL none.  Both texts are copied; callback NULL:
 * nothing is told. */
struct catalog *catalog_new(struct event_base *loop, const char *path, const char *service, int64_t max_age,
    char *const *owners, catalog_callback *callback, void *arg);
void catalog_free(struct catalog *catalog);

/* Reads it afresh, unless that takes several turns of the loop, which are under way.  NULL, the valid entries in the
 * order of their names (1 to ENDPOINTS_MAX, none resolved; borrowed, until the loop's next turn), and whether it is a
 * directory; or an error (owned by the caller): "catalog /x/y: ...".  What differs from before is told as ever. */
char *catalog_read(struct catalog *catalog, const struct endpoint_listed **ret_entries, size_t *ret_count,
    bool *ret_folder);

/* What the last look has passed over; valid until the loop's next turn.  ret_more: how many
 * beyond these. */
const struct catalog_passed *catalog_passed_over(const struct catalog *catalog, size_t *ret_count,
    size_t *ret_more);

#endif
