/* script_watch.h - a lookup script that stays and says whenever its list changes (lookup.watch).
 *
 * It is run with --watch and prints whole lists, each ended by an empty line.  The last one counts while it runs, for
 * as long as lookup.refresh: its silence beyond that is not trusted.  When it ends it is run again, with the retry
 * delay from start to start, and its list counts no more.
 */
#ifndef HOLDFAST_UPSTREAM_SCRIPT_WATCH_H
#define HOLDFAST_UPSTREAM_SCRIPT_WATCH_H

#include <stdint.h>
#include <sys/types.h>

#include "upstream/script.h"

struct script_watch;

/* Called from the loop alone; may free the watch. */
struct script_watch_callbacks {
	void (*news)(void *arg); /* a list that differs from the one before; or the first of this run */
	/* It has ended, for this cause, and is run again at the time; same: not for the first time in a row. */
	void (*ended)(void *arg, const char *error, int64_t again, bool same);
	/* P4: microseconds between two starts after so many runs that gave no list. */
	int64_t (*delay)(void *arg, unsigned failures);
};

/* Everything is borrowed; ret_group: see base/child.h. */
struct script_watch *script_watch_new(const struct script *script, volatile pid_t *ret_group,
    const struct script_watch_callbacks *callbacks, void *arg);
void script_watch_free(struct script_watch *watch);

/* Whether it is run; false at first.  One that is not wanted any more is ended. */
void script_watch_run(struct script_watch *watch, bool on);

/* The last list, if it counts: text of this length, borrowed until the loop's next turn.  NULL: none does. */
const char *script_watch_list(const struct script_watch *watch, size_t *ret_length);

/* Until when the first list of this run is to be expected; 0: it has come, or is not. */
int64_t script_watch_expected(const struct script_watch *watch);

#endif
