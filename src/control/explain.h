/* explain.h - what happened to a service, with times: "why was it down at 03:12?" */
#ifndef HOLDFAST_CONTROL_EXPLAIN_H
#define HOLDFAST_CONTROL_EXPLAIN_H

#include <jansson.h>

#include "keep/table.h"

/* A new list of the history's entries, the oldest first: {"time","event","text"} each. */
json_t *explain_entries(const struct table_service *service);

/* The newest entry of the history that is an event and no note, or NULL. */
const struct table_event *explain_last_event(const struct table_service *service);

#endif
