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
#define CHOKE_DEAF    (500 * CLOCK_MILLISECOND)
/* All may be kept waiting for so long in all, by one client or several; a tenth of the time that passes is forgotten
 * of it. */
#define CHOKE_PATIENCE CLOCK_SECOND
#define CHOKE_FORGET   10

/* Somebody of the service may have been short of memory for so long before who is furthest behind is closed, deaf or
 * not. */
#define CHOKE_SHORT    (2 * CLOCK_SECOND)

/* Bytes that the client's host has for it, in the kernel's measure: fewer than before mean that it has taken some,
 * though there may not be room for more yet. */
static int
choke_queued(const struct member *member)
{
	int bytes = 0;

	ioctl(member_record(member)->fd, SIOCOUTQ, &bytes);
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

	return !member->writing || now - member->deaf_since >= CHOKE_DEAF ||
	    shared->choked_for + waiting >= CHOKE_PATIENCE;
}

static void
choke_forget(struct shared *shared, int64_t now)
{
	shared->choked_for -= (now - shared->choked_end) / CHOKE_FORGET;
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
choke_close(struct shared *shared, struct member *member)
{
	log_notice(shared->name, "client %llu does not take its replies, %zu bytes wait: closed",
	    (unsigned long long)member_record(member)->id, flow_length(shared->table, *member_out(member)));
	session_is_over(member->session, CLOSING_BEHIND);
}

bool
shared_choke(struct shared *shared, struct member *member)
{
	int64_t now = clock_now();

	choke_forget(shared, now);
	if (choke_is_hopeless(shared, member, now)) {
		choke_close(shared, member);
		return false;
	}
	shared->choked = member;
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

struct member *
shared_furthest_behind(const struct shared *shared)
{
	struct member *behind = NULL;
	size_t most = 0, waits;

	for (size_t i = 0; shared->blocked > 0 && i < shared->member_slots; i++) {
		if (shared->members[i] == NULL || !shared->members[i]->writing)
			continue;
		waits = flow_length(shared->table, *member_out(shared->members[i]));
		if (waits >= most) {
			behind = shared->members[i];
			most = waits;
		}
	}
	return behind;
}

/* While others are short of memory it is not for those who do not take what they were given. */
static void
choke_check_short(struct shared *shared, int64_t now)
{
	struct member *behind = shared_furthest_behind(shared);

	if (behind == NULL || budget_short(shared->table->budget, shared->service) == 0) {
		shared->short_since = 0;
		return;
	}
	if (shared->short_since == 0)
		shared->short_since = now;
	if (now - behind->deaf_since >= CHOKE_DEAF || now - shared->short_since >= CHOKE_SHORT)
		choke_close(shared, behind);
}

void
shared_check_deaf(struct shared *shared, int64_t now)
{
	for (size_t i = 0; i < shared->member_slots; i++)
		if (shared->members[i] != NULL && shared->members[i]->writing)
			choke_look(shared->members[i], now);
	if (shared->choked != NULL && choke_is_hopeless(shared, shared->choked, now))
		choke_close(shared, shared->choked);
	choke_check_short(shared, now);
}
