#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "keep/io_journal.h"
#include "client/shared_parts.h"

/* Without replies: so many entries or bytes are kept before the kernel is asked what has been acknowledged. */
#define GIVE_KEPT       256
#define GIVE_KEPT_BYTES (TABLE_BUFFER_SIZE / 2)

static void
give_watch(struct shared *shared, bool writing)
{
	if (shared->writing == writing)
		return;
	shared->writing = writing;
	if (writing)
		event_add(&shared->write, NULL);
	else
		event_del(&shared->write);
}

/* One write, more only if the kernel has taken a part. */
static void
give(struct shared *shared)
{
	const struct table_shared *record = shared->record;
	uint64_t limit;
	ssize_t n = 0;

	if (shared->fd == -1 || shared->broken)
		return;
	limit = shared_limit(shared);
	if (record->sent != limit && shared->liveness.asked == 0)
		shared->liveness.asked = clock_now();
	while (record->sent != limit && n >= 0)
		n = io_journal_give(shared->table, shared->service, shared->fd, limit);
	shared->broken = n < 0 && n != -EAGAIN && n != -ENOBUFS; /* what it said before its end is read first */
	give_watch(shared, record->sent != limit && !shared->broken);
	if (!shared_is_ordered(shared) && (pending_count(record) > GIVE_KEPT || shared_has_more(shared) ||
	    ring_length(shared->table, record->out) > GIVE_KEPT_BYTES))
		shared_retire(shared);
	shared_tick_soon(shared);
}

void
shared_on_giving(void *arg)
{
	struct shared *shared = arg;

	if (shared->fd != -1 && !shared->reading && shared->choked == NULL && shared->wait == NULL)
		shared_unchoke(shared);
	give(shared);
	shared_serve_waiting(shared);
	shared_check_rest(shared);
}

void
shared_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct shared *shared = arg;

	(void)fd;
	(void)what;
	give(shared);
	shared_serve_waiting(shared);
}

void
shared_give_soon(struct shared *shared)
{
	if (!loop_timer_is_set(&shared->giving))
		loop_timer_soon(&shared->giving);
}

/* Who finds no place is first again. */
static void
give_keep_place(struct shared *shared, const struct mux_client *mux_client)
{
	struct mux_client *last = TAILQ_LAST(&shared->waiting, mux_client_list);

	if (last == NULL || last != mux_client)
		return;
	TAILQ_REMOVE(&shared->waiting, last, waiting_entry);
	TAILQ_INSERT_HEAD(&shared->waiting, last, waiting_entry);
}

/* First come first. */
void
shared_serve_waiting(struct shared *shared)
{
	const struct mux_client *mux_client = NULL;

	shared->serving = true;
	while (shared->fd != -1 && !TAILQ_EMPTY(&shared->waiting) &&
	    (mux_client == NULL || TAILQ_LAST(&shared->waiting, mux_client_list) != mux_client)) {
		mux_client = TAILQ_FIRST(&shared->waiting);
		mux_client_wait_no_more(TAILQ_FIRST(&shared->waiting));
		mux_client_ask((struct mux_client *)(uintptr_t)mux_client); /* it may be gone */
	}
	shared->serving = false;
	give_keep_place(shared, mux_client);
	shared_tell_waiting(shared);
}

void
shared_beat(struct shared *shared)
{
	struct table_shared *record = shared->record;
	size_t length = shared->beat_length;
	unsigned char *room;
	struct redo redo;

	if (!shared_pending_room(shared, 1) || (room = shared_room(shared, &record->out, length)) == NULL)
		return;
	memcpy(room, shared->beat_text, length);
	*pending_at(shared->table, record, record->pending_tail) = (struct table_pending){
		.who = TABLE_PENDING_NOBODY, .end = record->out_end + length };
	redo_begin(&redo, shared->table);
	ring_redo(&redo, shared->table, record->out, 0, length);
	redo_add(&redo, &record->out_end, record->out_end + length);
	redo_add(&redo, &record->pending_tail, record->pending_tail + 1);
	redo_commit(&redo);
	shared->liveness.beaten = clock_now();
	shared_give_soon(shared);
}

/* Bytes that the other host has not acknowledged.  A Unix socket counts memory, not bytes: then it is none, or all
 * that this may be. */
static uint64_t
give_unacknowledged(const struct shared *shared)
{
	int bytes = 0;

	if (ioctl(shared->fd, SIOCOUTQ, &bytes) == -1 || bytes < 0)
		return UINT64_MAX;
	return (uint64_t)bytes;
}

void
shared_retire(struct shared *shared)
{
	struct table_shared *record = shared->record;
	uint64_t left, acknowledged;
	size_t count = 0;
	struct redo redo;

	if (shared_is_ordered(shared) || shared->fd == -1 || pending_count(record) == 0)
		return;
	left = give_unacknowledged(shared);
	if (left > record->sent)
		return;
	acknowledged = record->sent - left;
	while (count < pending_count(record) &&
	    pending_at(shared->table, record, record->pending_head + count)->end <= acknowledged)
		count++;
	if (count == 0)
		return;
	redo_begin(&redo, shared->table);
	ring_redo(&redo, shared->table, record->out, pending_bytes(shared->table, record, count), 0);
	redo_add(&redo, &record->pending_head, record->pending_head + count);
	redo_commit(&redo);
	ring_release(shared->table, shared_payer(shared), &record->out);
	if (pending_count(record) == 0)
		shared->liveness.asked = 0;
	if (shared_has_more(shared))
		shared_give_soon(shared);
}
