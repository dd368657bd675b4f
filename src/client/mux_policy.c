#include "client/mux_policy.h"

#include "base/clock.h"

/* A client's replies that are on the way together should not be more. */
#define WINDOW_BYTES (1u << 20)

/* A client that took nothing for so long is deaf. */
#define PRESS_DEAF     (500 * CLOCK_MILLISECOND)
/* All may be kept waiting for so long in all, by one client or several; a tenth of the time that passes is forgotten
 * of it. */
#define PRESS_PATIENCE CLOCK_SECOND
#define PRESS_FORGET   10
/* So many bytes of a long reply, taken, excuse a microsecond: who takes 1 MB/s is waited for to its end. */
#define PRESS_PACE     1
/* Somebody of the service may have been short of memory for so long before who is furthest behind is closed, deaf or
 * not. */
#define PRESS_SHORT    (2 * CLOCK_SECOND)

/* Who finds no memory waits for it so long. */
#define STARVE_MOST    (10 * CLOCK_SECOND)
/* An upstream that takes no more may say what it has to say; then it is lost. */
#define BROKEN_MOST    CLOCK_SECOND

/* An upstream that owes a reply and has said nothing for so long may be held up by one request. */
#define STUCK_AFTER    CLOCK_SECOND

/* So often it is looked whether who makes all others wait takes something; what was acknowledged, while somebody
 * waits for that, and otherwise; and how it lives, at least. */
#define PERIOD_PRESSED (50 * CLOCK_MILLISECOND)
#define PERIOD_DUE     (5 * CLOCK_MILLISECOND)
#define PERIOD_IDLE    (250 * CLOCK_MILLISECOND)
#define PERIOD_ALIVE   (10 * CLOCK_MILLISECOND)

/* Looks at the queue within hold_timeout. */
#define EXPIRY_LOOKS 16

/* A request that was the oldest at so many losses in a row may be their cause: it is not sent again. */
#define LOSS_SUSPECT  5
#define LOSS_PATIENCE (10 * CLOCK_SECOND) /* and for so long: a server may accept and close while it comes back */

unsigned
mux_reader_left(const struct mux_reader *reader)
{
	return reader->window > reader->in_flight ? reader->window - reader->in_flight : 0;
}

void
mux_reader_answer(struct mux_reader *reader, uint32_t count, size_t bytes)
{
	size_t most = WINDOW_BYTES / (bytes / count + 1) + 1;

	reader->in_flight -= count;
	if (reader->window > most)
		reader->window = (unsigned)most;
}

void
mux_reader_take_all(struct mux_reader *reader)
{
	reader->deaf_since = 0;
	if (reader->window < MUX_WINDOW_MOST && reader->in_flight * 2 <= reader->window)
		reader->window *= 2;
}

void
mux_reader_block(struct mux_reader *reader, int queued, bool took, int64_t now)
{
	reader->queued = queued;
	if (took || reader->deaf_since == 0)
		reader->deaf_since = now;
}

void
mux_reader_look(struct mux_reader *reader, int queued, int64_t now)
{
	if (queued < reader->queued)
		reader->deaf_since = now;
	reader->queued = queued;
}

void
mux_policy_open(struct mux_policy *policy, int64_t now)
{
	*policy = (struct mux_policy){ .state = MUX_OPEN, .heard = now, .patience = policy->patience,
		.patient = policy->patient, .short_since = policy->short_since };
}

/* The wait for a client is over, one way or the other. */
static void
policy_note_pressed(struct mux_policy *policy, int64_t now)
{
	if (policy->state != MUX_PRESSED)
		return;
	policy->patience += now - policy->pressed;
	policy->patient = now;
}

void
mux_policy_close(struct mux_policy *policy, int64_t now)
{
	policy_note_pressed(policy, now);
	policy->state = MUX_DOWN;
	policy->heard = policy->asked = policy->crowded = policy->beaten = policy->starved = 0;
}

void
mux_policy_hear(struct mux_policy *policy, int64_t now)
{
	policy->heard = now;
	policy->starved = 0;
}

bool
mux_policy_starve(struct mux_policy *policy, int64_t now)
{
	if (policy->starved == 0)
		policy->starved = now;
	policy->state = MUX_STARVED;
	return now - policy->starved < STARVE_MOST;
}

/* In the midst of a long reply much waits for anybody, and who stops for a moment is not deaf yet. */
static bool
reader_is_deaf(const struct mux_reader *reader, int64_t now)
{
	return !mux_reader_is_blocked(reader) ||
	    now - reader->deaf_since >= (reader->streams ? PRESS_PATIENCE : PRESS_DEAF);
}

bool
mux_policy_is_hopeless(const struct mux_policy *policy, const struct mux_reader *reader, int64_t now)
{
	int64_t waiting = policy->state == MUX_PRESSED ? now - policy->pressed : 0;

	return reader_is_deaf(reader, now) || policy->patience + waiting >= PRESS_PATIENCE;
}

bool
mux_policy_press(struct mux_policy *policy, const struct mux_reader *reader, int64_t now)
{
	policy->patience -= (now - policy->patient) / PRESS_FORGET;
	if (policy->patience < 0)
		policy->patience = 0;
	policy->patient = now;
	if (mux_policy_is_hopeless(policy, reader, now))
		return false;
	policy->state = MUX_PRESSED;
	policy->pressed = now;
	return true;
}

void
mux_policy_take(struct mux_policy *policy, const struct mux_reader *reader, uint64_t bytes, int64_t now)
{
	int64_t excused = (int64_t)(bytes / PRESS_PACE), waiting = now - policy->pressed;

	if (!reader->streams)
		return;
	policy->pressed += excused < waiting ? excused : waiting;
	if (excused > waiting) /* these excuse earlier waits */
		policy->patience -= excused - waiting < policy->patience ? excused - waiting : policy->patience;
}

void
mux_policy_resume(struct mux_policy *policy, int64_t now)
{
	policy_note_pressed(policy, now);
	if (policy->state == MUX_PRESSED)
		policy->heard = now;
	policy->state = MUX_OPEN;
}

bool
mux_policy_check_short(struct mux_policy *policy, const struct mux_reader *behind, bool is_short, int64_t now)
{
	if (behind == NULL || !is_short) {
		policy->short_since = 0;
		return false;
	}
	if (policy->short_since == 0)
		policy->short_since = now;
	return reader_is_deaf(behind, now) || now - policy->short_since >= PRESS_SHORT;
}

static int64_t
policy_later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void
mux_policy_note_others(struct mux_policy *policy, bool others, int64_t now)
{
	if (!others)
		policy->crowded = 0;
	else if (policy->crowded == 0)
		policy->crowded = now;
}

/* Since when a reply is owed in silence; 0: none is.  A reply ends the silence for all that are still owed one: the
 * server works on them in turn. */
static int64_t
policy_silent_since(const struct mux_policy *policy)
{
	return policy->asked == 0 ? 0 : policy_later(policy->asked, policy->heard);
}

bool
mux_policy_is_stuck(const struct mux_policy *policy, int64_t now)
{
	int64_t since = policy_silent_since(policy);

	return policy->state == MUX_OPEN && since != 0 && now - since >= STUCK_AFTER;
}

static bool
policy_is_too_silent(const struct mux_policy *policy, const struct mux_limits *limits, int64_t now)
{
	int64_t since = policy_silent_since(policy);

	if (limits->reply_timeout == 0 || since == 0 || (limits->spares && policy->crowded == 0))
		return false;
	return now - (limits->spares ? policy_later(since, policy->crowded) : since) >= limits->reply_timeout;
}

enum mux_verdict
mux_policy_judge(const struct mux_policy *policy, const struct mux_limits *limits, int64_t now)
{
	if (policy->state == MUX_DOWN || policy->state == MUX_PRESSED)
		return MUX_ALIVE;
	if (policy->broken && now - policy->heard >= BROKEN_MOST)
		return MUX_BROKEN;
	if (policy->beaten != 0) {
		if (now - policy_later(policy->beaten, policy->heard) >= limits->timeout)
			return MUX_NO_PULSE;
	} else if (limits->beats && policy->asked == 0 && now - policy->heard >= limits->interval) {
		return MUX_BEAT;
	}
	return policy_is_too_silent(policy, limits, now) ? MUX_SILENT : MUX_ALIVE;
}

/* The shorter of two periods, of which 0 is none. */
static int64_t
policy_shorter(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

int64_t
mux_policy_period(const struct mux_policy *policy, const struct mux_limits *limits, const struct mux_waits *waits)
{
	int64_t period = 0, alive = waits->queued ? limits->reply_timeout : 0; /* between two mux_policy_judge() */

	if (waits->blocked)
		period = policy->state == MUX_PRESSED ? PERIOD_PRESSED : PERIOD_IDLE;
	if (waits->refused && waits->waiting)
		period = policy_shorter(period, PERIOD_IDLE);
	if (policy->state == MUX_DOWN)
		return waits->queued || waits->waiting ?
		    policy_shorter(period, waits->hold_timeout / EXPIRY_LOOKS) : period;
	/* without anything queued clients wait for memory, which others may give back */
	if (policy->broken || (waits->waiting && !waits->queued))
		period = policy_shorter(period, PERIOD_IDLE);
	if (waits->queued && waits->acknowledges)
		period = policy_shorter(period, waits->is_due ? PERIOD_DUE : PERIOD_IDLE);
	if (limits->beats)
		alive = policy_shorter(policy_shorter(alive, limits->interval), limits->timeout);
	if (alive != 0)
		alive = policy_shorter(policy_later(alive / 8, PERIOD_ALIVE), CLOCK_SECOND);
	return policy_shorter(period, alive);
}

uint64_t
mux_expiry_look(struct mux_expiry *expiry, int64_t timeout, uint64_t tail, int64_t now)
{
	enum { MARKS = sizeof expiry->marks / sizeof expiry->marks[0] };
	unsigned newest = (expiry->next + MARKS - 1) % MARKS;
	uint64_t end = 0;

	for (unsigned i = 0; timeout > 0 && i < MARKS; i++)
		if (expiry->marks[i].at >= expiry->since && expiry->marks[i].end > end &&
		    now - expiry->marks[i].at >= timeout)
			end = expiry->marks[i].end;
	if (expiry->marks[newest].at >= expiry->since && now - expiry->marks[newest].at < timeout / EXPIRY_LOOKS)
		return end;
	expiry->marks[expiry->next].at = now;
	expiry->marks[expiry->next].end = tail;
	expiry->next = (expiry->next + 1) % MARKS;
	return end;
}

uint64_t
mux_policy_failing(struct table_shared *record, bool retries, uint64_t sent, int64_t now)
{
	bool guilty = record->stuck == TABLE_STUCK_GUILTY, torn = record->streamed > 0;

	if (!retries || torn || (sent == 0 && guilty))
		record->stuck = 0;
	if (!retries || sent == 0)
		return sent;
	if (torn)
		return 1;
	if (!guilty) {
		if (record->stuck == 0 || record->stuck_at != record->pending_head) {
			record->stuck = 0;
			record->stuck_at = record->pending_head;
			record->stuck_since = now;
		}
		guilty = ++record->stuck >= LOSS_SUSPECT && now - record->stuck_since >= LOSS_PATIENCE;
	}
	if (guilty)
		record->stuck = 0;
	return guilty;
}
