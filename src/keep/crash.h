/* crash.h - a test build kills its worker at a named place: HOLDFAST_CRASH=NAME:COUNT[,NAME:COUNT...].
 *
 * The worker dies of SIGKILL, or the signal number $HOLDFAST_CRASH_SIGNAL (0: it hangs), each COUNT-th time that the
 * place is passed.  The passes are counted in the table, so that a COUNT over 1 lets a recovery succeed in between.
 * Without --enable-crash-points nothing of this is compiled in.
 */
#ifndef HOLDFAST_KEEP_CRASH_H
#define HOLDFAST_KEEP_CRASH_H

#include "keep/layout.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* Such a place.  CLOSE_MARKED is "close.marked" for people, REDO_COMMITTED_NOW "redo.committed-now": the first word
 * tells the step, the others what is done when it is passed. */
#ifdef HOLDFAST_CRASH_POINTS
#define CRASH_POINT(name) do { \
	static const char *const crash_point __attribute__((section("crash_points"), used)) = #name; \
	crash_here(crash_point); \
} while (0)
#else
#define CRASH_POINT(name) ((void)0)
#endif

/* Reads HOLDFAST_CRASH.  false if it names an unknown point.  Does nothing without --enable-crash-points. */
bool crash_open(struct table *table);

/* Prints all names, one a line; false if they are not compiled in. */
bool crash_list(void);

/* Counts the pass; at a wanted one says so on standard error and ends this process by SIGKILL.  Called by
 * CRASH_POINT() alone. */
void crash_here(const char *point);

#endif
