#include "upstream/standby.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "upstream/standby_plan.h"

struct standby {
	const char *name;                          /* borrowed */
	const struct pconn_settings *pconn;        /* borrowed */
	const struct standby_callbacks *callbacks; /* borrowed */
	void *arg;                                 /* borrowed */
	struct pool *pool;                         /* owned */
	struct lookup_waiter *asking;              /* owned; NULL none */
	struct standby_plan plan;
	unsigned wanted;
	char current[ADDRESS_TEXT_SIZE];           /* where the service is connected to */
	struct address *found;                     /* owned: what the last look-up gave */
	size_t found_count;
	struct loop_timer timer;                   /* plan.deadline */
};

static void standby_tell(struct standby *standby, enum standby_event event);

/* The found addresses at which there is no connection: how many; copied to others unless that is NULL. */
static size_t
standby_others(const struct standby *standby, struct address *others)
{
	char text[ADDRESS_TEXT_SIZE];
	size_t count = 0;

	for (size_t i = 0; i < standby->found_count; i++) {
		address_format(&standby->found[i], text);
		if (strcmp(text, standby->current) == 0 || pool_has(standby->pool, text))
			continue;
		if (others != NULL)
			others[count] = standby->found[i];
		count++;
	}
	return count;
}

static void
standby_on_looked_up(void *arg, const struct lookup_result *result)
{
	struct standby *standby = arg;
	const char *wrong = result->error != NULL ? result->error : result->abort_reason;

	standby->asking = NULL;
	if (wrong != NULL) {
		log_debug(standby->name, "look-up for a standby: %s", wrong);
		standby_tell(standby, STANDBY_LOOKUP_FAILED);
		return;
	}
	mem_free(standby->found);
	standby->found = mem_new(LOOKUP_ENDPOINTS, sizeof *standby->found);
	lookup_get_addresses(result, standby->found);
	standby->found_count = result->endpoint_count;
	standby_tell(standby, STANDBY_LOOKED_UP);
}

/* One dial at a time: two would go to the same address. */
static void
standby_dial(struct standby *standby)
{
	struct address *others = mem_new(standby->found_count, sizeof *others);
	size_t count = standby_others(standby, others);

	pool_set_candidates(standby->pool, others, count);
	pool_fill(standby->pool, 1);
	mem_free(others);
}

static void
standby_tell(struct standby *standby, enum standby_event event)
{
	struct standby_input in = { .event = event, .now = clock_now(),
		.roll = standby->callbacks->roll(standby->arg), .wanted = standby->wanted,
		.ready = pool_ready(standby->pool), .dialling = pool_dialling(standby->pool),
		.others = (unsigned)standby_others(standby, NULL) };
	unsigned todo = standby_step(&standby->plan, standby->pconn, &in);

	if ((todo & STANDBY_DO_DROP) != 0)
		standby_drop(standby);
	if ((todo & STANDBY_DO_LOOKUP) != 0)
		standby->asking = standby->callbacks->look_up(standby->arg, standby_on_looked_up, standby);
	if ((todo & STANDBY_DO_DIAL) != 0)
		standby_dial(standby);
	loop_timer_at(&standby->timer, standby->plan.deadline);
}

static void
standby_on_dialled(void *arg, const char *address)
{
	struct standby *standby = arg;

	log_debug(standby->name, "standby %s is ready", address);
	standby_tell(standby, STANDBY_DIALED);
}

/* One copy's word is not the service's: it ends no attempts. */
static void
standby_on_refused(void *arg, const char *error)
{
	const struct standby *standby = arg;

	log_debug(standby->name, "standby: %s", error);
}

static void
standby_on_failed(void *arg, const char *address, const char *error, bool further)
{
	struct standby *standby = arg;

	log_debug(standby->name, "dial standby %s: %s", address, error);
	if (!further)
		standby_tell(standby, STANDBY_DIAL_FAILED);
}

static void
standby_on_ended(void *arg, const char *address, int64_t age, const char *text)
{
	struct standby *standby = arg;

	log_debug(standby->name, "standby %s: ended by the server after %.1f s%s%s", address,
	    (double)age / CLOCK_SECOND, *text == '\0' ? "" : ": ", text);
	if (age < PCONN_YOUNG)
		pool_mark_failed(standby->pool, address);
	standby_tell(standby, STANDBY_LOOK);
}

static const struct pool_callbacks standby_pool_callbacks = {
	.dialled = standby_on_dialled,
	.refused = standby_on_refused,
	.failed = standby_on_failed,
	.ended = standby_on_ended,
};

static void
standby_on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	standby_tell(arg, STANDBY_LOOK);
}

struct standby *
standby_new(struct event_base *loop, struct table *table, uint16_t service, const char *name,
    const struct dial_settings *dial, const struct hello_settings *hello, const struct pconn_settings *pconn,
    const struct standby_callbacks *callbacks, void *arg)
{
	struct standby *standby = mem_new(1, sizeof *standby);

	standby->name = name;
	standby->pconn = pconn;
	standby->callbacks = callbacks;
	standby->arg = arg;
	standby->pool = pool_new(loop, table, service, TABLE_ROLE_STANDBY, dial, hello, &standby_pool_callbacks,
	    standby);
	loop_timer_init(&standby->timer, loop, standby_on_timer, standby);
	return standby;
}

void
standby_set(struct standby *standby, const struct dial_settings *dial, const struct hello_settings *hello)
{
	pool_set(standby->pool, dial, hello);
}

void
standby_free(struct standby *standby)
{
	if (standby == NULL)
		return;
	lookup_leave(standby->asking);
	loop_timer_stop(&standby->timer);
	pool_free(standby->pool);
	mem_free(standby->found);
	mem_free(standby);
}

void
standby_adopt(struct standby *standby, bool keep)
{
	pool_adopt(standby->pool, keep);
	if (!keep)
		standby_drop(standby);
}

void
standby_look(struct standby *standby, unsigned wanted, const char *current)
{
	standby->wanted = wanted;
	snprintf(standby->current, sizeof standby->current, "%s", current);
	pool_close_address(standby->pool, current);
	pool_trim(standby->pool, wanted);
	standby_tell(standby, STANDBY_LOOK);
}

void
standby_wake(struct standby *standby)
{
	standby_tell(standby, STANDBY_WAKE);
}

void
standby_drop(struct standby *standby)
{
	lookup_leave(standby->asking);
	standby->asking = NULL;
	standby->plan.looking = false;
	pool_drop(standby->pool);
}

bool
standby_give(struct standby *standby, struct pool *to, char ret_address[ADDRESS_TEXT_SIZE])
{
	return pool_move(standby->pool, to, ret_address);
}

unsigned
standby_ready(const struct standby *standby)
{
	return pool_ready(standby->pool);
}
