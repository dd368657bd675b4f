#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct loop_timers {
	LIST_ENTRY(loop_timers) entry;
	const struct event_base *loop;   /* borrowed */
	int fd;                          /* owned: a timerfd */
	int64_t armed;                   /* when it will be readable */
	struct event event;
	struct loop_timer **heap;        /* owned, of borrowed: the earliest first; [0] is not used */
	size_t count, room;
	uint64_t order;
	TAILQ_HEAD(, loop_timer) soon;
};

/* One for each loop of the process, which is one but in tests. */
static LIST_HEAD(, loop_timers) loop_all = LIST_HEAD_INITIALIZER(loop_all);

static struct loop_timers *
loop_timers_of(const struct event_base *loop)
{
	struct loop_timers *timers;

	LIST_FOREACH(timers, &loop_all, entry)
		if (timers->loop == loop)
			break;
	return timers;
}

static void
loop_timers_put(struct loop_timers *timers, struct loop_timer *timer, size_t place)
{
	timers->heap[place] = timer;
	timer->place = place;
}

static bool
loop_timer_is_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->deadline < b->deadline || (a->deadline == b->deadline && a->order < b->order);
}

/* The place is free: timer goes there, or up to where it belongs. */
static void
loop_timers_rise(struct loop_timers *timers, struct loop_timer *timer, size_t place)
{
	for (; place > 1 && loop_timer_is_before(timer, timers->heap[place / 2]); place /= 2)
		loop_timers_put(timers, timers->heap[place / 2], place);
	loop_timers_put(timers, timer, place);
}

/* The same, down. */
static void
loop_timers_sink(struct loop_timers *timers, struct loop_timer *timer, size_t place)
{
	size_t child;

	while ((child = place * 2) <= timers->count) {
		if (child < timers->count && loop_timer_is_before(timers->heap[child + 1], timers->heap[child]))
			child++;
		if (!loop_timer_is_before(timers->heap[child], timer))
			break;
		loop_timers_put(timers, timers->heap[child], place);
		place = child;
	}
	loop_timers_put(timers, timer, place);
}

static void
loop_timers_remove(struct loop_timers *timers, struct loop_timer *timer)
{
	struct loop_timer *last = timers->heap[timers->count--];
	size_t place = timer->place;

	timer->place = 0;
	if (last == timer)
		return;
	if (place > 1 && loop_timer_is_before(last, timers->heap[place / 2]))
		loop_timers_rise(timers, last, place);
	else
		loop_timers_sink(timers, last, place);
}

/* The file is to be readable at the time; CLOCK_NEVER: no more.  Setting it also
 * clears an expiry, so that nothing need be read. */
static void
loop_timers_arm(struct loop_timers *timers, int64_t at)
{
	struct itimerspec spec = { 0 };
	int64_t time = at > 0 ? at : 1; /* 0 would disarm it */

	timers->armed = at;
	if (at != CLOCK_NEVER) {
		spec.it_value.tv_sec = (time_t)(time / CLOCK_SECOND);
		spec.it_value.tv_nsec = (long)(time % CLOCK_SECOND * 1000);
	}
	timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void
loop_timer_run(struct loop_timer *timer)
{
	loop_timer_stop(timer);
	timer->callback(timer->arg);
}

/* Those that come to the list meanwhile have their turn after all other events that are due. */
static void
loop_timers_run_soon(struct loop_timers *timers, uint64_t limit)
{
	struct loop_timer *timer;

	while ((timer = TAILQ_FIRST(&timers->soon)) != NULL && timer->order < limit)
		loop_timer_run(timer);
	if (timer != NULL)
		event_active(&timers->event, EV_TIMEOUT, 0);
}

/* Those that are set meanwhile, be it for the past, have their turn after the next look at files. */
static void
loop_timers_run_due(struct loop_timers *timers, uint64_t limit)
{
	int64_t now = clock_now();
	struct loop_timer *timer;

	while (timers->count > 0 && (timer = timers->heap[1])->deadline <= now && timer->order < limit)
		loop_timer_run(timer);
	loop_timers_arm(timers, timers->count > 0 ? timers->heap[1]->deadline : CLOCK_NEVER);
}

static void
loop_timers_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timers *timers = arg;
	uint64_t limit = timers->order;

	(void)fd;
	if (what & EV_TIMEOUT)
		loop_timers_run_soon(timers, limit);
	if (what & EV_READ)
		loop_timers_run_due(timers, limit);
}

static struct loop_timers *
loop_timers_new(struct event_base *loop)
{
	struct loop_timers *timers;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd == -1)
		return NULL;
	timers = mem_new(1, sizeof *timers);
	timers->loop = loop;
	timers->fd = fd;
	timers->armed = CLOCK_NEVER;
	TAILQ_INIT(&timers->soon);
	event_assign(&timers->event, loop, fd, EV_READ | EV_PERSIST, loop_timers_on_event, timers);
	loop_event_add(&timers->event);
	LIST_INSERT_HEAD(&loop_all, timers, entry);
	return timers;
}

static void
loop_timers_free(struct loop_timers *timers)
{
	if (timers == NULL)
		return;
	LIST_REMOVE(timers, entry);
	event_del(&timers->event);
	close(timers->fd);
	mem_free(timers->heap);
	mem_free(timers);
}

void
loop_timer_init(struct loop_timer *timer, struct event_base *loop, void (*callback)(void *arg), void *arg)
{
	*timer = (struct loop_timer){ .timers = loop_timers_of(loop), .callback = callback, .arg = arg };
	assert(timer->timers != NULL);
}

void
loop_timer_at(struct loop_timer *timer, int64_t deadline)
{
	struct loop_timers *timers = timer->timers;

	loop_timer_stop(timer);
	if (deadline == CLOCK_NEVER)
		return;
	timer->deadline = deadline;
	timer->order = timers->order++;
	if (timers->count + 1 >= timers->room) {
		timers->room = timers->room == 0 ? 16 : timers->room * 2;
		timers->heap = mem_resize(timers->heap, timers->room, sizeof(struct loop_timer *));
	}
	loop_timers_rise(timers, timer, ++timers->count);
	if (deadline < timers->armed)
		loop_timers_arm(timers, deadline);
}

void
loop_timer_soon(struct loop_timer *timer)
{
	struct loop_timers *timers = timer->timers;

	loop_timer_stop(timer);
	timer->order = timers->order++;
	timer->soon = true;
	TAILQ_INSERT_TAIL(&timers->soon, timer, entry);
	event_active(&timers->event, EV_TIMEOUT, 0);
}

bool
loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->soon || timer->place != 0;
}

void
loop_timer_stop(struct loop_timer *timer)
{
	if (timer->soon)
		TAILQ_REMOVE(&timer->timers->soon, timer, entry);
	timer->soon = false;
	if (timer->place != 0)
		loop_timers_remove(timer->timers, timer);
}

/* libevent itself would write to standard error, and wait for who reads it. */
static void
loop_work_on_turn(void *arg)
{
	struct loop_work *work = arg;

	for (int i = 0; i < LOOP_BITS; i++)
		if (!work->bit(work->arg)) {
			if (work->done != NULL)
				work->done(work->arg);
			return;
		}
	loop_timer_at(&work->timer, clock_now());
}

void
loop_work_init(struct loop_work *work, struct event_base *loop, void *arg)
{
	work->arg = arg;
	loop_timer_init(&work->timer, loop, loop_work_on_turn, work);
}

void
loop_work_start(struct loop_work *work, bool (*bit)(void *arg), void (*done)(void *arg))
{
	work->bit = bit;
	work->done = done;
	loop_timer_soon(&work->timer);
}

void
loop_work_stop(struct loop_work *work)
{
	loop_timer_stop(&work->timer);
}

static void
loop_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_warning(NULL, "libevent: %s", text);
}

struct event_base *
loop_new(void)
{
	struct event_config *config;
	struct event_base *loop = NULL;

	event_set_mem_functions(mem_malloc, mem_realloc, mem_free);
	config = event_config_new();
	event_set_log_callback(loop_log);
	if (config != NULL) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		loop = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (loop == NULL || loop_timers_new(loop) == NULL) {
		fputs("holdfast: no event loop can be made; this process ends\n", stderr);
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
loop_event_add(struct event *event)
{
	if (event_add(event, NULL) == 0)
		return;
	log_error(NULL, "file descriptor %d cannot be waited for: %s; this process ends", (int)event_get_fd(event),
	    strerror(errno));
	abort();
}

bool
loop_is_busy(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

void
loop_event_stop(struct event *event)
{
	if (event_initialized(event))
		event_del(event);
}
