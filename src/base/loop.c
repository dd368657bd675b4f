#include "base/loop.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/loop_parts.h"

/* libevent itself would write to standard error, and wait for who reads it. */
static void
loop_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_warning(NULL, "libevent: %s", text);
}

struct event_base *
loop_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *loop = NULL;

	event_set_log_callback(loop_log);
	if (config != NULL) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		loop = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (loop == NULL || loop_timers_new(loop) == NULL) {
		fputs("holdfast: no event loop\n", stderr);
		abort();
	}
	return loop;
}

void
loop_free(struct event_base *loop)
{
	if (loop == NULL)
		return;
	loop_timers_free(loop_timers_of(loop));
	event_base_free(loop);
}

void
loop_event_stop(struct event *event)
{
	if (event_initialized(event))
		event_del(event);
}
