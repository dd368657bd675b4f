/* watch.h - is told when something changes at a path (inotify).
 *
 * All watches of a process share one inotify file, for a user may have but 128 of them.  A watch that cannot be had
 * (none left, the directory is missing) is silently none: who watches looks from time to time anyway.
 */
#ifndef HOLDFAST_BASE_WATCH_H
#define HOLDFAST_BASE_WATCH_H

#include <event2/event.h>
#include <stdbool.h>

struct watch;

/* changed is called from the loop, once for any number of changes at once, and must not free any watch.  All watches
 * that exist at the same time have the same loop. */
struct watch *watch_new(struct event_base *loop, void (*changed)(void *arg), void *arg);
void watch_free(struct watch *watch);

/* Replaces what is watched, without a gap for what was watched before.  Is told when a file, or directory, comes or
 * goes at this path, or the directory that it is in; with contents also when the file is written to, or anything in
 * the directory changes.  A path that does not begin with a slash, an abstract socket's name, is ignored, as ""
 * is. */
void watch_path(struct watch *watch, const char *path, bool contents);

#endif
