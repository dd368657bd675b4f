/* catalog.h - where copies of a service publish their addresses: a folder with a file each, or one file for all.
 *
 * The form is that of the specification (section Catalog); which of the two it is, is seen anew each time.  Watched
 * by inotify, and looked at every 30 s for what inotify does not see.
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

#include "upstream/entry.h"

#define CATALOG_ADDRESSES 64   /* the first ones by name; further ones are left out */
#define CATALOG_FILES     4096 /* in one folder; further ones are not looked at */

struct catalog;

/* max_age: microseconds or CLOCK_NEVER; owners: names of users, NULL none.  Both texts are copied.  changed (unless
 * NULL) is called from the loop whenever the list of valid entries differs from before; it may free the catalog. */
struct catalog *catalog_new(struct event_base *loop, const char *path, const char *service, int64_t max_age,
    char *const *owners, void (*changed)(void *arg), void *arg);
void catalog_free(struct catalog *catalog);

/* Reads it afresh.  NULL, the valid entries in the order of their names (at least one, none resolved), and whether
 * it is a folder; or an error (owned by the caller): "catalog /x/y: ...". */
char *catalog_read(struct catalog *catalog, struct entry ret_entries[CATALOG_ADDRESSES], size_t *ret_count,
    bool *ret_folder);

#endif
