#include "client/shared_parts.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "keep/crash.h"

/* Members whose memory lies together. */
#define SHARED_SLAB 32

size_t
shared_room_of_client(const struct shared *shared)
{
	return (size_t)shared->settings->max_message + SHARED_SLACK;
}

struct shared *
shared_new(struct event_base *loop, struct table *table, uint16_t service, const struct shared_settings *settings,
    struct upstream *upstream)
{
	struct shared *shared = mem_new(1, sizeof *shared);

	shared->loop = loop;
	shared->table = table;
	shared->service = service;
	shared->name = table->services[service].name;
	shared->record = &table->services[service].shared;
	shared->queue = (struct mux_queue){ .table = table, .record = shared->record, .service = service };
	shared->settings = settings;
	shared->upstream = upstream;
	shared->framing = framing_of(settings->framing);
	shared->fd = -1;
	shared->down_since = shared->queued_since = clock_now();
	shared->slab = (struct slab){ .size = sizeof(struct mux_client), .number = SHARED_SLAB };
	TAILQ_INIT(&shared->waiting);
	TAILQ_INIT(&shared->dirty);
	loop_timer_init(&shared->giving, loop, shared_on_giving, shared);
	loop_timer_init(&shared->tick, loop, shared_on_tick, shared);
	return shared;
}

/* What a worker must know of a service that is in no configuration any more. */
static void
shared_note(struct table_shared *record, const struct shared_settings *settings)
{
	record->framing = (uint8_t)settings->framing;
	record->replies = (uint8_t)settings->replies;
	record->type = (uint8_t)settings->type;
	record->max_message = settings->max_message;
}

bool
shared_recall(const struct table_shared *record, struct shared_settings *ret_settings)
{
	if (record->framing == FRAMING_NONE)
		return false;
	*ret_settings = (struct shared_settings){ .framing = (enum framing_kind)record->framing,
		.replies = (enum shared_replies)record->replies, .type = (enum listener_type)record->type,
		.max_message = record->max_message, .max_in_flight = 1 };
	return true;
}

/* What was found out about messages that are not whole does not hold with another limit. */
static void
shared_forget_progress(struct shared *shared)
{
	shared->progress = (struct framing_progress){ 0 };
	for (size_t i = 0; i < shared->mux_client_slots; i++)
		if (shared->members[i] != NULL)
			shared->members[i]->progress = (struct framing_progress){ 0 };
}

void
shared_set(struct shared *shared, const struct shared_settings *settings, int64_t hold_timeout, bool refuses,
    bool aborts, const struct resp_connection *resp)
{
	if (shared->settings->max_message != settings->max_message)
		shared_forget_progress(shared);
	shared->settings = settings;
	shared_note(shared->record, settings);
	shared->hold_timeout = hold_timeout;
	shared->refuses = refuses;
	shared->aborts = aborts;
	shared->resp = *resp;
	shared_make_texts(shared);
	loop_timer_stop(&shared->tick);
	shared_tick_soon(shared);
}

void
shared_use(struct shared *shared, int fd)
{
	shared->fd = fd;
	shared->broken = shared->moving = false;
	shared->error = 0;
	shared->progress = (struct framing_progress){ 0 };
	shared->liveness = (struct liveness){ .heard = clock_now() };
	event_assign(&shared->read, shared->loop, fd, EV_READ | EV_PERSIST, shared_on_readable, shared);
	event_assign(&shared->write, shared->loop, fd, EV_WRITE | EV_PERSIST, shared_on_writable, shared);
	event_add(&shared->read, NULL);
	shared->reading = true;
	shared->writing = false;
}

/* What comes before anything was asked would be taken for the reply to what is asked first. */
static bool
shared_has_spoken(const struct shared *shared)
{
	char byte;

	return shared_is_ordered(shared) && mux_queue_count(&shared->queue) > 0 &&
	    recv(shared->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void
shared_lend(struct shared *shared)
{
	uint32_t conn = upstream_take(shared->upstream);

	if (conn == 0)
		return;
	shared_use(shared, shared->table->conns[conn].fd);
	table_conn_share(shared->table, conn);
	CRASH_POINT(SHARED_LENT);
	shared->record->upstream = conn;
	CRASH_POINT(SHARED_NAMED);
	upstream_taken(shared->upstream, conn);
	if (shared_has_spoken(shared))
		shared_lose(shared, "it spoke before anything was asked; what it says first is a matter of hello");
	shared_forget_gone(shared);
	shared_tell_waiting(shared);
}

bool
shared_is_connected(const struct shared *shared)
{
	return shared->fd != -1;
}

void
shared_serve(struct shared *shared)
{
	if (!shared->begun)
		return;
	if (shared->fd == -1)
		shared_lend(shared);
	if (shared->fd == -1) {
		shared_turn_away(shared, clock_now());
		shared_tell_waiting(shared);
		return;
	}
	shared_move(shared, upstream_moves(shared->upstream));
	shared_give_soon(shared);
	shared_serve_waiting(shared);
}

void
shared_leave_upstream(struct shared *shared)
{
	if (shared == NULL)
		return;
	shared->upstream = NULL;
	shared_serve(shared);
}

void
shared_free(struct shared *shared)
{
	if (shared == NULL)
		return;
	shared_set_datagrams(shared, -1);
	loop_event_stop(&shared->read);
	loop_event_stop(&shared->write);
	budget_wait_cancel(shared->wait);
	loop_timer_stop(&shared->giving);
	loop_timer_stop(&shared->tick);
	slab_clear(&shared->slab);
	mem_free(shared->members);
	mem_free(shared->loss_text);
	mem_free(shared->beat_text);
	mem_free(shared);
}

void
shared_tell_waiting(struct shared *shared)
{
	unsigned count = 0;

	if (shared->fd == -1)
		count = shared->owed_members + shared->waiting_count;
	if (count == 0 && shared->fd == -1 && mux_queue_count(&shared->queue) > 0)
		count = 1;
	if (count == shared->told_waiting || !shared->begun)
		return;
	shared->told_waiting = count;
	upstream_set_held(shared->upstream, count);
}

void
shared_get_status(struct shared *shared, struct shared_status *ret_status)
{
	const struct table_shared *record = shared->record;
	const struct mux_client *first = TAILQ_FIRST(&shared->waiting);
	uint64_t sent;

	shared_retire(shared);
	sent = shared->fd == -1 ? 0 : mux_queue_sent(&shared->queue);
	*ret_status = (struct shared_status){ .in_flight = sent,
		.queued = mux_queue_count(&shared->queue) - sent + shared->waiting_count,
		.messages = { record->messages[0], record->messages[1] }, .lost = record->lost,
		.retried = record->retried, .waiting = shared->told_waiting };
	if (shared->fd == -1 && shared->told_waiting > 0) {
		int64_t since = mux_queue_count(&shared->queue) > 0 || first == NULL ? shared->queued_since
		    : first->waiting_since;

		ret_status->waiting_longest = clock_now() - since;
	}
}
