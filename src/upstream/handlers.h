/* handlers.h - runs a service's programs for its events: on_event, which is waited for, and notify, which is not.
 *
 * What waits for notify lies in the upstream's record, so that a worker's death loses none of it; one that was
 * running then runs again.
 */
#ifndef HOLDFAST_UPSTREAM_HANDLERS_H
#define HOLDFAST_UPSTREAM_HANDLERS_H

#include <event2/event.h>
#include <stdbool.h>

#include "keep/table.h"
#include "upstream/upstream_log.h"
#include "upstream/upstream_settings.h"
#include "upstream/record.h"

struct handlers;

/* Goes on with notices that wait.  settings, service and record are borrowed; handled is called whenever a
 * program begun by handlers_run() has ended, well or not (P11). */
struct handlers *handlers_new(struct event_base *loop, const struct upstream_settings *settings,
    struct table_service *service, struct upstream_record *record, void (*handled)(void *arg), void *arg);

/* Goes on with these settings in place of the former ones; a program that runs goes on. */
void handlers_set(struct handlers *handlers, const struct upstream_settings *settings);

/* Kills what runs. */
void handlers_free(struct handlers *handlers);

/* Runs on_event.  false: there is none, and handled will not be called. */
bool handlers_run(struct handlers *handlers, const struct upstream_event *event);

/* Queues the event for notify, if there is one: one at a time, at most RECORD_NOTICES waiting, the oldest dropped
 * and counted. */
void handlers_notify(struct handlers *handlers, const struct upstream_event *event);

#endif
