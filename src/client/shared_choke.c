/* Clients that do not take their replies.  What is under way for one cannot be stopped, and comes between the replies of
 * others: beyond a limit either all wait for it, for a moment, or it is closed.  Which of these is decided by how long it
 * has taken nothing, looked at for all clients alike, so that any number of deaf ones costs the others one moment. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/shared_parts.h"

/* A client that took nothing for so long is deaf. */
#define CHOKE_DEAF    (500 * CLOCK_MILLISECOND)
/* One client may keep all others waiting for so long in all. */
#define CHOKE_PATIENCE CLOCK_SECOND

/* Bytes that the client's host has for it, in the kernel's measure: fewer than before mean that it has taken some, though
 * there may not be room for more yet. */
static int
choke_queued(const struct member *member)
{
	int bytes = 0;

	ioctl(member_record(member)->client_fd, SIOCOUTQ, &bytes);
	return bytes;
}

void
member_note_blocked(struct member *member, bool took)
{
	member->queued = choke_queued(member);
	if (took || member->deaf_since == 0)
		member->deaf_since = clock_now();
}

static void
choke_look(struct member *member, int64_t now)
{
	int queued = choke_queued(member);

	if (queued < member->queued)
		member->deaf_since = now;
	member->queued = queued;
}

static bool
choke_is_hopeless(const struct shared *shared, const struct member *member, int64_t now)
{
	int64_t waiting = shared->choked == member ? now - shared->choked_at : 0;

	return (member->writing && now - member->deaf_since >= CHOKE_DEAF) ||
	    member->choked_for + waiting >= CHOKE_PATIENCE;
}

static void
choke_close(struct shared *shared, struct member *member)
{
	log_notice(shared->name, "client %llu does not take its replies, %zu bytes wait: closed",
	    (unsigned long long)member_record(member)->id, flow_length(shared->table, *member_out(member)));
	session_is_over(member->session);
}

bool
shared_choke(struct shared *shared, struct member *member)
{
	if (!member->writing || choke_is_hopeless(shared, member, clock_now())) {
		choke_close(shared, member);
		return false;
	}
	shared->choked = member;
	shared->choked_at = clock_now();
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
		shared->choked->choked_for += clock_now() - shared->choked_at;
	shared->choked = NULL;
	if (shared->fd == -1)
		return;
	event_add(&shared->read, NULL);
	shared->reading = true;
	shared->liveness.heard = clock_now();
	shared_give_soon(shared);
	shared_hand_out(shared);
}

void
shared_check_deaf(struct shared *shared, int64_t now)
{
	for (size_t i = 0; i < shared->member_slots; i++)
		if (shared->members[i] != NULL && shared->members[i]->writing)
			choke_look(shared->members[i], now);
	if (shared->choked != NULL && choke_is_hopeless(shared, shared->choked, now))
		choke_close(shared, shared->choked);
}
