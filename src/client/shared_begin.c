/* Shared mode's begin, with what a dead worker left, and its end. */
#include "base/clock.h"
#include "client/shared_parts.h"
#include "keep/recover.h"

/* A connection that a dead worker was lent but did not come to name, or had named. */
static void
begin_resume_connection(struct shared *shared)
{
	struct table *table = shared->table;
	struct table_shared *record = shared->record;

	for (uint32_t i = 1; i < table->header->conn_high && record->upstream == 0; i++)
		if (table_conn_is_shared(table, i) && table->conns[i].service == shared->service)
			record->upstream = i;
	if (record->upstream == 0)
		return;
	if (table_conn_is_shared(table, record->upstream) &&
	    table->conns[record->upstream].service == shared->service)
		shared_use(shared, table->conns[record->upstream].fd);
	else
		shared_settle(shared);
}

/* What is owed to whom, as the members count it. */
static void
begin_resume_pending(struct shared *shared)
{
	uint32_t session;

	for (size_t i = 0; shared_is_ordered(shared) && i < mux_queue_count(&shared->queue); i++) {
		session = mux_queue_client(&shared->queue, mux_queue_at(&shared->queue, i)->who);
		if (session != 0 && session < shared->mux_client_slots && shared->members[session] != NULL)
			mux_client_owe(shared->members[session], 1);
	}
}

static void
begin_resume_liveness(struct shared *shared)
{
	if (mux_queue_count(&shared->queue) == 0 || shared->fd == -1)
		return;
	shared->liveness.asked = clock_now();
	if (mux_queue_at(&shared->queue, 0)->who == TABLE_PENDING_NOBODY)
		shared->liveness.beaten = shared->liveness.asked;
}

/* Named as being handled (K7): bytes that end a worker are met here again. */
static void
begin_each(struct shared *shared, void (*visit)(struct mux_client *mux_client))
{
	volatile uint32_t *handling = &shared->table->header->handling;

	for (size_t i = 0; i < shared->mux_client_slots; i++)
		if (shared->members[i] != NULL) {
			*handling = (uint32_t)i;
			visit(shared->members[i]);
		}
	*handling = 0;
}

static void
begin_resume_members(struct shared *shared)
{
	begin_each(shared, mux_client_flush);
	begin_each(shared, mux_client_ask);
}

/* The record that stands for who sends datagrams; 0: there is none. */
static uint32_t
begin_find_datagrams(const struct shared *shared)
{
	const struct table *table = shared->table;

	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_state(table, i) == TABLE_LIVE && table->clients[i].service == shared->service &&
		    (table->clients[i].flags & TABLE_CLIENT_DATAGRAMS))
			return i;
	return 0;
}

/* The same, made if need be; 0 if none is free. */
static uint32_t
begin_make_datagrams(struct shared *shared)
{
	struct table *table = shared->table;
	uint32_t index = begin_find_datagrams(shared);

	if (index != 0 || (index = table_client_claim(table)) == 0)
		return index;
	table->clients[index].service = shared->service;
	table->clients[index].flags = TABLE_CLIENT_DATAGRAMS;
	table->clients[index].since = clock_now();
	table->clients[index].conn = TABLE_CONN_SHARED;
	table_client_set(table, index, TABLE_LIVE);
	return index;
}

void
shared_set_datagrams(struct shared *shared, int fd)
{
	uint32_t index;

	mux_client_free(shared->datagrams);
	shared->datagrams = NULL;
	if (fd == -1 || shared->settings->type != LISTENER_DGRAM || (index = begin_make_datagrams(shared)) == 0)
		return;
	shared->datagrams = mux_client_begin(shared, NULL, index, fd);
	mux_client_ask(shared->datagrams);
}

void
shared_begin(struct shared *shared, int datagrams)
{
	shared->begun = true;
	begin_resume_pending(shared); /* first: it may be owed no more since the connection is lost */
	begin_resume_connection(shared);
	begin_resume_liveness(shared);
	begin_resume_members(shared); /* who is blocked is known then */
	if (shared->fd != -1 && ring_length(shared->table, *shared_in(shared)) > 0)
		shared_hand_out(shared);
	shared_set_datagrams(shared, datagrams);
	shared_forget_gone(shared);
	if (shared->fd == -1) {
		shared_serve(shared);
	} else {
		shared_give_soon(shared);
		shared_serve_waiting(shared);
	}
	shared_tell_waiting(shared);
	shared_check_rest(shared);
	shared_tick_soon(shared);
}

void
shared_end(struct shared *shared)
{
	uint32_t datagrams = begin_find_datagrams(shared);

	shared_set_datagrams(shared, -1);
	if (datagrams != 0)
		recover_close_client(shared->table, datagrams);
	shared_drop(shared);
	mux_queue_drop(&shared->queue);
}
