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
	if (!shared_is_ordered(shared) &&
	    (mux_queue_count(&shared->queue) > GIVE_KEPT || mux_queue_has_more(&shared->queue) ||
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
	unsigned char *room = mux_queue_room(&shared->queue, 1, shared->beat_length);

	if (room == NULL)
		return;
	memcpy(room, shared->beat_text, shared->beat_length);
	mux_queue_ask(&shared->queue, 0, 0, &shared->beat_length, 1);
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
	uint64_t left;

	if (shared_is_ordered(shared) || shared->fd == -1 || mux_queue_count(&shared->queue) == 0)
		return;
	left = give_unacknowledged(shared);
	if (left > shared->record->sent || !mux_queue_retire(&shared->queue, shared->record->sent - left))
		return;
	if (mux_queue_count(&shared->queue) == 0)
		shared->liveness.asked = 0;
	if (mux_queue_has_more(&shared->queue))
		shared_give_soon(shared);
}
