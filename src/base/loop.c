#include "base/loop.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

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
	if (loop == NULL) {
		fputs("holdfast: no event loop\n", stderr);
		abort();
	}
	return loop;
}

void
loop_timer_init(struct event *timer, struct event_base *loop, event_callback_fn callback, void *arg)
{
	event_assign(timer, loop, -1, 0, callback, arg);
}

void
loop_timer_at(struct event *timer, int64_t deadline)
{
	int64_t span;
	struct timeval tv;

	if (deadline == CLOCK_NEVER) {
		loop_timer_stop(timer);
		return;
	}
	span = deadline - clock_now();
	if (span < 0)
		span = 0;
	tv.tv_sec = (time_t)(span / CLOCK_SECOND);
	tv.tv_usec = (suseconds_t)(span % CLOCK_SECOND);
	event_add(timer, &tv);
}

void
loop_timer_soon(struct event *timer)
{
	event_active(timer, EV_TIMEOUT, 0);
}

void
loop_timer_stop(struct event *timer)
{
	loop_event_stop(timer);
}

void
loop_event_stop(struct event *event)
{
	if (event_initialized(event))
		event_del(event);
}
