#include "base/loop.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/loop_parts.h"

struct event_base *
loop_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *loop = NULL;

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
