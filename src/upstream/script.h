/* script.h - the lookup script of a service (holdfast-lookup(7)), run once or to stay.
 */
#ifndef HOLDFAST_UPSTREAM_SCRIPT_H
#define HOLDFAST_UPSTREAM_SCRIPT_H

#include <event2/event.h>
#include <stdbool.h>

#include "base/child.h"
#include "upstream/lookup_settings.h"

struct upstream_record;

/* Whose it is; everything is borrowed. */
struct script {
	struct event_base *loop;
	const char *service;
	const struct lookup_settings *settings;
	struct upstream_record *record;
};

/* Runs it for one answer, or, with said, to stay (--watch) for as long as it likes; see child_start(). */
struct child *script_start(const struct script *script, child_said *said, volatile pid_t *ret_group,
    child_callback *callback, void *arg);

/* A script may say what it was given and nobody is to see: that is masked in the text, which may be NULL and is the
 * result. */
char *script_mask(const struct script *script, char *text);

#endif
