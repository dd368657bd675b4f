/* watch.h - is told when something changes in a folder (inotify).
 *
 * All watches of a process share one inotify file, for a user may have but 128 of them.  A watch that cannot be had
 * (none left, the folder is missing) is silently none: who watches looks from time to time anyway.
 */
#ifndef HOLDFAST_UPSTREAM_WATCH_H
#define HOLDFAST_UPSTREAM_WATCH_H

#include <event2/event.h>

#define WATCH_FOLDERS 4 /* at most, in one watch */

struct watch;

/* changed is called from the loop, once for any number of changes at once, and must not free any watch.  All watches
 * that exist at the same time have the same loop. */
struct watch *watch_new(struct event_base *loop, void (*changed)(void *arg), void *arg);
void watch_free(struct watch *watch);

/* Replaces what is watched: watch_begin(), watch_folder() for each folder, watch_commit().  A folder that was
 * watched before stays so without a gap.  name, unless NULL: only what has this name in the folder counts. */
void watch_begin(struct watch *watch);
void watch_folder(struct watch *watch, const char *path, const char *name);
void watch_commit(struct watch *watch);

/* In the place of two watch_folder(): is told when a file comes or goes at this path, or the folder that it is in;
 * not when it is written to.  An abstract socket's name is passed over. */
void watch_file(struct watch *watch, const char *path);

#endif
