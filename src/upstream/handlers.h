/* handlers.h - runs a service's programs for its events: on_event, which is waited for, and notify, which is not.
 *
 * What waits for notify lies in the upstream's record, so that a worker's death loses none of it; one that was
 * running then runs again.
 */
#ifndef HOLDFAST_UPSTREAM_HANDLERS_H
#define HOLDFAST_UPSTREAM_HANDLERS_H

#include <stdbool.h>

#include "upstream/machine.h"
#include "upstream/upstream_log.h"

struct handlers;

/* Resumes notices that wait.  context is borrowed; PCONN_HANDLED is pushed whenever a program begun by handlers_run()
 * has ended, well or not (P11). */
struct handlers *handlers_new(const struct upstream_context *context);

/* Kills what runs. */
void handlers_free(struct handlers *handlers);

/* Runs on_event.  false: there is none, and nothing will be pushed. */
bool handlers_run(struct handlers *handlers, const struct upstream_event *event);

/* Queues the event for notify, if there is one: one at a time, at most RECORD_NOTICES waiting, the oldest dropped
 * and counted. */
void handlers_notify(struct handlers *handlers, const struct upstream_event *event);

#endif
