/* Clients that do not take their replies.  What is under way for one cannot be stopped, and comes between the replies
 * of others: beyond a limit either all wait for it, for a moment, or it is closed.  Which of these is decided by how
 * long it has taken nothing, and by how long all have waited already, so that any number of deaf ones costs the
 * others about a second. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/shared_parts.h"

/* A client that took nothing for so long is deaf. */
#define BACKPRESSURE_DEAF    (500 * CLOCK_MILLISECOND)
/* All may be kept waiting for so long in all, by one client or several; a tenth of the time that passes is forgotten
 * of it. */
#define BACKPRESSURE_PATIENCE CLOCK_SECOND
#define BACKPRESSURE_FORGET   10

/* Somebody of the service may have been short of memory for so long before who is furthest behind is closed, deaf or
 * not. */
#define BACKPRESSURE_SHORT    (2 * CLOCK_SECOND)

/* Bytes that the client's host has for it, in the kernel's measure: fewer than before mean that it has taken some,
 * though there may not be room for more yet. */
static int
backpressure_queued(const struct mux_client *mux_client)
{
	int bytes = 0;

	ioctl(mux_client_record(mux_client)->fd, SIOCOUTQ, &bytes);
	return bytes;
}

void
mux_client_note_blocked(struct mux_client *mux_client, bool took)
{
	mux_client->queued = backpressure_queued(mux_client);
	if (took || mux_client->deaf_since == 0)
		mux_client->deaf_since = clock_now();
}

static void
backpressure_look(struct mux_client *mux_client, int64_t now)
{
	int queued = backpressure_queued(mux_client);

	if (queued < mux_client->queued)
		mux_client->deaf_since = now;
	mux_client->queued = queued;
}

static bool
backpressure_is_hopeless(const struct shared *shared, const struct mux_client *mux_client, int64_t now)
{
	int64_t waiting = shared->choked == mux_client ? now - shared->choked_at : 0;

	return !mux_client->writing || now - mux_client->deaf_since >= BACKPRESSURE_DEAF ||
	    shared->choked_for + waiting >= BACKPRESSURE_PATIENCE;
}

static void
backpressure_forget(struct shared *shared, int64_t now)
{
	shared->choked_for -= (now - shared->choked_end) / BACKPRESSURE_FORGET;
	if (shared->choked_for < 0)
		shared->choked_for = 0;
	shared->choked_end = now;
}

/* The wait is over, one way or the other. */
void
shared_note_choked(struct shared *shared)
{
	shared->choked_end = clock_now();
	shared->choked_for += shared->choked_end - shared->choked_at;
	shared->choked = NULL;
}

static void
backpressure_close(struct shared *shared, struct mux_client *mux_client)
{
	log_notice(shared->name, "client %llu does not take its replies, %zu bytes wait: closed",
	    (unsigned long long)mux_client_record(mux_client)->id, ring_length(shared->table,
	    *mux_client_out(mux_client)));
	client_is_over(mux_client->client, CLOSING_BEHIND);
}

bool
shared_backpressure(struct shared *shared, struct mux_client *mux_client)
{
	int64_t now = clock_now();

	backpressure_forget(shared, now);
	if (backpressure_is_hopeless(shared, mux_client, now)) {
		backpressure_close(shared, mux_client);
		return false;
	}
	shared->choked = mux_client;
	shared->choked_at = now;
	shared->progress = (struct framing_progress){ 0 }; /* what is at the head was looked at already */
	event_del(&shared->read);
	shared->reading = false;
	shared_tick_soon(shared);
	return true;
}

void
shared_unchoke(struct shared *shared)
{
	if (shared->choked != NULL)
		shared_note_choked(shared);
	if (shared->fd == -1)
		return;
	event_add(&shared->read, NULL);
	shared->reading = true;
	shared->liveness.heard = clock_now();
	shared_give_soon(shared);
	shared_hand_out(shared);
}

struct mux_client *
shared_furthest_behind(const struct shared *shared)
{
	struct mux_client *behind = NULL;
	size_t most = 0, waits;

	for (size_t i = 0; shared->blocked > 0 && i < shared->mux_client_slots; i++) {
		if (shared->members[i] == NULL || !shared->members[i]->writing)
			continue;
		waits = ring_length(shared->table, *mux_client_out(shared->members[i]));
		if (waits >= most) {
			behind = shared->members[i];
			most = waits;
		}
	}
	return behind;
}

/* While others are short of memory it is not for those who do not take what they were given. */
static void
backpressure_check_short(struct shared *shared, int64_t now)
{
	struct mux_client *behind = shared_furthest_behind(shared);

	if (behind == NULL || budget_short(shared->table->budget, shared->service) == 0) {
		shared->short_since = 0;
		return;
	}
	if (shared->short_since == 0)
		shared->short_since = now;
	if (now - behind->deaf_since >= BACKPRESSURE_DEAF || now - shared->short_since >= BACKPRESSURE_SHORT)
		backpressure_close(shared, behind);
}

void
shared_check_deaf(struct shared *shared, int64_t now)
{
	for (size_t i = 0; i < shared->mux_client_slots; i++)
		if (shared->members[i] != NULL && shared->members[i]->writing)
			backpressure_look(shared->members[i], now);
	if (shared->choked != NULL && backpressure_is_hopeless(shared, shared->choked, now))
		backpressure_close(shared, shared->choked);
	backpressure_check_short(shared, now);
}
