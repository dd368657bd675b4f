#include "upstream/standby.h"

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

struct standby {
	struct pool *pool;                         /* borrowed */
	const struct pconn_settings *pconn;        /* borrowed */
	const struct standby_callbacks *callbacks; /* borrowed */
	void *arg;                                 /* borrowed */
	struct standby_plan plan;
	unsigned wanted;
	struct loop_timer timer;                   /* plan.deadline */
};

void
standby_tell(struct standby *standby, enum standby_event event)
{
	struct standby_input in = { .event = event, .now = clock_now(),
		.roll = standby->callbacks->roll(standby->arg), .wanted = standby->wanted,
		.ready = pool_idle(standby->pool, TABLE_ROLE_STANDBY),
		.dialling = pool_dialling_standby(standby->pool), .others = pool_others(standby->pool) };
	unsigned todo = standby_step(&standby->plan, standby->pconn, &in);

	if ((todo & STANDBY_DO_DROP) != 0)
		standby_drop(standby);
	if ((todo & STANDBY_DO_LOOKUP) != 0)
		standby->callbacks->look_up(standby->arg);
	if ((todo & STANDBY_DO_DIAL) != 0)
		pool_fill_standby(standby->pool);
	loop_timer_at(&standby->timer, standby->plan.deadline);
}

static void
standby_on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	standby_tell(arg, STANDBY_LOOK);
}

struct standby *
standby_new(struct event_base *loop, struct pool *pool, const struct pconn_settings *pconn,
    const struct standby_callbacks *callbacks, void *arg)
{
	struct standby *standby = mem_new(1, sizeof *standby);

	standby->pool = pool;
	standby->pconn = pconn;
	standby->callbacks = callbacks;
	standby->arg = arg;
	loop_timer_init(&standby->timer, loop, standby_on_timer, standby);
	return standby;
}

void
standby_free(struct standby *standby)
{
	if (standby == NULL)
		return;
	loop_timer_stop(&standby->timer);
	mem_free(standby);
}

void
standby_look(struct standby *standby, unsigned wanted, uint16_t current)
{
	standby->wanted = wanted;
	pool_close_standby(standby->pool, current);
	pool_trim(standby->pool, TABLE_ROLE_STANDBY, wanted);
	standby_tell(standby, STANDBY_LOOK);
}

void
standby_drop(struct standby *standby)
{
	standby->callbacks->leave(standby->arg);
	standby->plan.looking = false;
	pool_drop(standby->pool, TABLE_ROLE_STANDBY);
}
