/* script.h - asks a program of the operator's where the copies of a service are.
 *
 * The protocol is that of holdfast-lookup(7): one address a line, with priority= and weight= behind it perhaps, best
 * first, exit 0; or the single line "abort: REASON".  Anything else is a failed look-up whose text names the cause.
 */
#ifndef HOLDFAST_UPSTREAM_SCRIPT_H
#define HOLDFAST_UPSTREAM_SCRIPT_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "upstream/endpoints.h"

#define SCRIPT_OUTPUT_MAX 65536

/* All borrowed for the time of script_start() alone. */
struct script_job {
	const char *program;
	char *const *arguments;    /* NULL is the empty list */
	char *const *environment;  /* NAME=VALUE, wins over what is set here; NULL is the empty list */
	const char *service;
	unsigned failures;
	const char *last_address;  /* "" if none */
	int64_t timeout;
};

/* Valid during the callback only. */
struct script_result {
	const char *error;         /* NULL on success: "look-up script: exit 1: no route to the database" */
	const char *abort_reason;  /* not NULL: the script said abort: (P21) */
	const struct endpoint_listed *endpoints;
	size_t count;
	const char *output, *errors;
};

typedef void script_callback(void *arg, const struct script_result *result);

struct script;

/* ret_group: see base/child.h. */
struct script *script_start(struct event_base *loop, const struct script_job *job, volatile pid_t *ret_group,
    script_callback *callback, void *arg);
void script_cancel(struct script *script);

#endif
