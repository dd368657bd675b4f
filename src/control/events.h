/* events.h - what happens to services, and did ("why was it down at 03:12?"): who has asked to see their events, over
 * the control socket (P12), and their history.
 *
 * A new subscriber is first given the last event of each service it asked for, LOOP_BITS services a turn.  One that
 * does not read never slows anybody: events are left out for it, and when it has caught up it is told how many.
 */
#ifndef HOLDFAST_CONTROL_EVENTS_H
#define HOLDFAST_CONTROL_EVENTS_H

#include <stdint.h>

#include "control/control.h"
#include "keep/table.h"
#include "upstream/upstream.h"

struct events;

struct events *events_new(struct event_base *loop);

/* All subscribers must be gone (control_free() first). */
void events_free(struct events *events);

/* An event of the service with this record; its time is the history's, where the upstream noted it just now. */
void events_publish(struct events *events, const struct table_service *service, const struct upstream_event *event);

/* A new object: the last event of a service; out of its history, where none was published yet.  NULL: none. */
json_t *events_get_last(const struct events *events, const struct table_service *service);

/* A new list of the history's entries, the oldest first: {"time","event","text"} each. */
json_t *events_history(const struct table_service *service);

/* The newest entry of the history that is an event and no note, or NULL. */
const struct table_event *events_last(const struct table_service *service);

/* Answers request with events until its connection goes: of one service, or of all (service NULL).  First it is told
 * the last event of those with these records, in their order: a list that becomes the callee's (mem_free()). */
void events_subscribe(struct events *events, struct control_request *request, const char *service,
    const struct table_service **records, size_t count);

#endif
