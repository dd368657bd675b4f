#include "client/mux_conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/peer_closed.h"
#include "client/mux_judge.h"
#include "client/mux_stream.h"
#include "keep/budget.h"
#include "keep/io_journal.h"

/* A client may have so many times its share waiting for it, since replies that are on the way cannot be stopped;
 * others wait for it until it is down to so many times. */
#define CONN_PRESS   4
#define CONN_RELEASE 3
/* Reads in one turn of the loop, so that others have theirs; there is room for at least so much, and at first no more
 * is read. */
#define CONN_READS 16
#define CONN_ROOM  (TABLE_BUFFER_SIZE / 4)
/* Without replies: so many entries or bytes are kept before the kernel is asked what has been acknowledged. */
#define CONN_KEPT       256
#define CONN_KEPT_BYTES (TABLE_BUFFER_SIZE / 2)

/* Replies in a row to one client. */
struct conn_run {
	uint64_t who;
	uint32_t count;
	size_t bytes;
	bool streams, silent; /* a part of one that passes as it comes, uncounted until the last; none is told */
};

/* How many bytes came from the upstream and were not handed out yet; the first of them. */
static size_t
conn_came(const struct mux_conn *conn)
{
	return ring_length(conn->queue->table, conn->queue->record->in);
}

static const unsigned char *
conn_bytes(const struct mux_conn *conn)
{
	return ring_bytes(conn->queue->table, conn->queue->record->in);
}

/* The mux is told when it looks. */
static void
conn_lose(struct mux_conn *conn, const char *reason)
{
	snprintf(conn->lost, sizeof conn->lost, "%s", reason);
	conn->policy.state = MUX_DOWN;
	mux_turn_soon(conn->clients);
}

bool
mux_conn_rests(const struct mux_conn *conn)
{
	return conn->policy.moves || table_is_paused(conn->queue->table, conn->queue->service);
}

uint64_t
mux_conn_in_flight(const struct mux_conn *conn)
{
	uint64_t end;

	return conn->fd == -1 ? 0 : mux_queue_begun(conn->queue, &end);
}

/* How far the connection is given requests: until it owes max_in_flight replies.  A paused service's, or one that is
 * to be replaced, is given nothing that it was not given in part already, and goes when it owes nothing. */
static uint64_t
conn_limit(const struct mux_conn *conn)
{
	const struct table_shared *record = conn->queue->record;
	size_t most = conn->rules->settings->max_in_flight;
	uint64_t end;

	if (!mux_conn_rests(conn)) {
		if (mux_queue_count(conn->queue) <= most)
			return record->out_end;
		end = mux_queue_end(conn->queue, most);
		if (end >= record->sent) /* else max_in_flight has become less */
			return end;
	}
	mux_queue_begun(conn->queue, &end);
	return end;
}

void
mux_conn_retire(struct mux_conn *conn)
{
	uint64_t sent = conn->queue->record->sent;
	int left = 0; /* not acknowledged: bytes, of a Unix socket memory: then it is none, or all that may be */

	if (mux_is_ordered(conn->rules) || conn->fd == -1 || mux_queue_count(conn->queue) == 0)
		return;
	/* A Unix socket whose other end is gone has nothing left of what was not read there. */
	if (ioctl(conn->fd, SIOCOUTQ, &left) == -1 || left < 0 || (uint64_t)left > sent ||
	    (conn->is_local && peer_closed_has_come(conn->fd)) ||
	    !mux_queue_retire(conn->queue, sent - (uint64_t)left))
		return;
	if (mux_queue_count(conn->queue) == 0)
		conn->policy.asked = 0;
	if (mux_queue_has_more(conn->queue) || conn->clients->waiting.count > 0 ||
	    conn->rules->spools)
		mux_turn_soon(conn->clients); /* there is room for it now */
}

/* Gives what there is, in one write, more only if the kernel has taken a part. */
void
mux_conn_give(struct mux_conn *conn, int64_t now)
{
	struct mux_queue *queue = conn->queue;
	const struct table_shared *record = queue->record;
	uint64_t limit;
	ssize_t n = 0;
	bool writing;

	if (conn->fd == -1 || conn->policy.broken)
		return;
	limit = conn_limit(conn);
	if (record->sent != limit && conn->policy.asked == 0)
		conn->policy.asked = now;
	while (record->sent != limit && n >= 0)
		n = io_journal_give(queue->table, queue->service, conn->fd, limit);
	conn->policy.broken = n < 0 && !loop_is_busy((int)-n); /* what it said before its end is read first */
	writing = record->sent != limit && !conn->policy.broken;
	if (writing && !event_pending(&conn->write, EV_WRITE, NULL))
		loop_event_add(&conn->write);
	else if (!writing && event_pending(&conn->write, EV_WRITE, NULL))
		event_del(&conn->write);
	if (mux_queue_count(queue) > CONN_KEPT || mux_queue_has_more(queue) ||
	    ring_length(queue->table, record->out) > CONN_KEPT_BYTES)
		mux_conn_retire(conn);
}

/* It sent what is no message, or too long a one. */
static void
conn_lose_nonsense(struct mux_conn *conn, enum framing_result result)
{
	char text[128];

	if (result == FRAMING_TOO_LONG)
		snprintf(text, sizeof text, "it sent a message of more than max_message (%u bytes)",
		    conn->rules->settings->max_message);
	else
		snprintf(text, sizeof text, "it sent what is no message of framing %s",
		    conn->rules->framing->name);
	conn->queue->record->stuck = TABLE_STUCK_GUILTY;
	conn_lose(conn, text);
}

/* The next message from the upstream at this offset of what came. */
static enum framing_result
conn_parse(struct mux_conn *conn, size_t offset, size_t *ret_length)
{
	const struct mux_rules *rules = conn->rules;
	enum framing_result result = rules->framing->reply(&conn->progress, conn_bytes(conn) + offset,
	    conn_came(conn) - offset, rules->settings->max_message, ret_length);

	if (result == FRAMING_WHOLE)
		conn->progress = (struct framing_progress){ 0 };
	return result;
}

static bool
conn_is_pulse(const struct mux_conn *conn, size_t offset, size_t length)
{
	return shared_is_pulse(conn->rules->settings, conn_bytes(conn) + offset, length);
}

/* It is read again; what came and found no place is handed out. */
static void
conn_read_again(struct mux_conn *conn, int64_t now)
{
	conn->pressed = NULL;
	mux_policy_resume(&conn->policy, now);
	loop_event_add(&conn->read);
	conn->hands_out = true;
	mux_turn_soon(conn->clients);
}

static void
conn_on_memory(void *arg)
{
	struct mux_conn *conn = arg;

	conn->wait = NULL;
	if (conn->policy.state == MUX_STARVED)
		conn_read_again(conn, clock_now());
}

static void
conn_close_slow(struct mux_conn *conn, struct mux_client *client, bool broadcast)
{
	log_notice(conn->rules->name, broadcast ?
	    "client %llu does not keep up, %zu bytes wait for it: closed" :
	    "client %llu does not take its replies, %zu bytes wait: closed",
	    (unsigned long long)mux_client_record(client)->id, mux_bytes_told(conn->rules,
	    client->asker.index));
	mux_client_close(client, CLOSING_BEHIND);
}

/* Too much waits for this client: all wait for it.  false: it has been closed instead. */
static bool
conn_press(struct mux_conn *conn, struct mux_client *client, int64_t now)
{
	if (!mux_policy_press(&conn->policy, &client->asker.reader, now)) {
		conn_close_slow(conn, client, false);
		return false;
	}
	conn->pressed = client;
	conn->taken = mux_client_record(client)->bytes[TABLE_DOWN];
	conn->progress = (struct framing_progress){ 0 }; /* what is at the head was looked at already */
	event_del(&conn->read);
	return true;
}

/* There is no memory for the replies, or to read them.  Who does not take what it was given has it, and must take
 * some first; if nobody is to blame it is waited for.  Whether to try again now: somebody was closed for it. */
static bool
conn_want(struct mux_conn *conn, int64_t now)
{
	struct mux_client *behind = mux_clients_furthest_behind(conn->clients);

	conn->progress = (struct framing_progress){ 0 }; /* what is at the head was looked at already */
	if (behind != NULL)
		return !conn_press(conn, behind, now);
	if (!mux_policy_starve(&conn->policy, now)) {
		conn_lose(conn, "there is no memory for what it sends");
		return false;
	}
	event_del(&conn->read);
	if (conn->wait == NULL)
		conn->wait = budget_wait_start(conn->queue->table->budget, mux_queue_payer(conn->queue),
		    conn_on_memory, conn);
	return false;
}

/* Whether what waits for the client is so much that no more may. */
static bool
conn_is_too_much(const struct mux_conn *conn, const struct mux_client *client, unsigned times)
{
	const struct mux_rules *rules = conn->rules;

	return mux_bytes_told(rules, client->asker.index) > times * mux_most_bytes(rules) ||
	    (mux_reader_is_blocked(&client->asker.reader) &&
	    budget_is_over(rules->queue.table->budget, rules->queue.service));
}

/* Hands a run to its client, or to nobody; false if that must wait, or the connection is lost. */
static bool
conn_deliver(struct mux_conn *conn, const struct conn_run *run, int64_t now)
{
	struct mux_client *client = mux_clients_alive(conn->clients, mux_queue_client(conn->queue, run->who));
	uint64_t passed = conn->queue->record->streamed; /* of the same reply before */
	uint32_t index;

	if (run->who == TABLE_PENDING_NOBODY) {
		conn->policy.beaten = 0;
		if (!conn_is_pulse(conn, 0, run->bytes)) {
			conn_lose(conn, "the answer to the heartbeat is not the one expected");
			return false;
		}
	}
	if (client != NULL && conn_is_too_much(conn, client, CONN_PRESS)) {
		if (conn_press(conn, client, now))
			return false;
		client = NULL;
	}
	index = client == NULL || run->silent ? 0 : client->asker.index;
	if (!(run->streams ? mux_queue_pass(conn->queue, index, run->bytes, run->count > 0) :
	    mux_queue_answer(conn->queue, index, run->count, run->bytes)))
		return conn_want(conn, now);
	conn->policy.starved = 0;
	if (mux_queue_count(conn->queue) == 0)
		conn->policy.asked = 0;
	if (client != NULL) {
		client->asker.reader.streams = run->count == 0;
		if (run->count > 0)
			mux_client_answer(client, run->count, run->silent ? 0 : run->bytes + (size_t)passed);
		mux_client_flush(client, now); /* at once: the same buffer then serves all in turn */
	}
	return true;
}

/* Entry number i of those that the connection was given and owes; NULL if there is none. */
static const struct table_pending *
conn_pending(const struct mux_conn *conn, uint64_t i)
{
	const struct table_pending *entry;

	if (i >= mux_queue_count(conn->queue))
		return NULL;
	entry = mux_queue_at(conn->queue, i);
	return entry->end <= conn->queue->record->sent ? entry : NULL;
}

static bool
conn_is_reply(const struct mux_conn *conn, size_t offset, size_t length)
{
	const struct framing *framing = conn->rules->framing;

	return framing->is_reply == NULL || framing->is_reply(conn_bytes(conn) + offset, length);
}

/* What comes first is no whole reply to the request of this entry (NULL: there is none). */
static void
conn_stop_at(struct mux_conn *conn, struct conn_run *run, const struct table_pending *entry,
    enum framing_result result)
{
	if (result == FRAMING_TOO_LONG && conn_is_reply(conn, 0, conn_came(conn)) &&
	    mux_stream_is_possible(conn->rules, entry)) {
		conn->progress = (struct framing_progress){ 0 };
		run->streams = mux_stream_is_due(conn->rules);
	} else if (result == FRAMING_WHOLE) {
		conn_lose(conn, "it sent a reply that nobody asked for");
	} else if (result != FRAMING_MORE) {
		conn_lose_nonsense(conn, result);
	}
}

/* Adds the replies at the start that go to one client, or that it does not get, to an empty run; none: there are none
 * that are whole yet, or the connection is lost. */
static void
conn_collect(struct mux_conn *conn, struct conn_run *run)
{
	const struct table_pending *entry;
	enum framing_result result;
	size_t length;
	bool silent;

	for (;; run->bytes += length, run->count++) {
		entry = conn_pending(conn, run->count);
		if (run->count > 0 && (entry == NULL || entry->who != run->who))
			return;
		result = conn_parse(conn, run->bytes, &length);
		if (result == FRAMING_WHOLE && !conn_is_reply(conn, run->bytes, length))
			return;
		if (result != FRAMING_WHOLE || entry == NULL) {
			if (run->count == 0)
				conn_stop_at(conn, run, entry, result);
			return;
		}
		silent = mux_judge_is_silent(conn->rules->framing, entry->who, conn_bytes(conn) + run->bytes, length);
		if (run->count > 0 && silent != run->silent)
			return;
		run->who = entry->who;
		run->silent = silent;
	}
}

/* The next part of a reply that passes as it comes.  false: it is none, and the connection is lost. */
static bool
conn_follow(struct mux_conn *conn, struct conn_run *run)
{
	enum framing_result result = mux_stream_follow(conn->rules, &run->bytes, &run->silent);

	if (result != FRAMING_MORE && result != FRAMING_WHOLE) {
		conn_lose_nonsense(conn, FRAMING_MALFORMED);
		return false;
	}
	run->who = mux_queue_at(conn->queue, 0)->who;
	run->count = result == FRAMING_WHOLE;
	return true;
}

static void
conn_take_replies(struct mux_conn *conn, int64_t now)
{
	struct conn_run run;
	size_t length;

	while (conn->policy.state == MUX_OPEN && conn_came(conn) > 0) {
		run = (struct conn_run){ .streams = mux_stream_is_on(conn->queue) };
		/* What is first and whole may be no reply to anybody: its first byte tells. */
		if (!run.streams && !conn_is_reply(conn, 0, conn_came(conn)) &&
		    conn_parse(conn, 0, &length) == FRAMING_WHOLE) {
			ring_take(conn->queue->table, conn->queue->record->in, length);
			continue;
		}
		if (!run.streams)
			conn_collect(conn, &run);
		if (run.streams ? !conn_follow(conn, &run) : run.count == 0)
			return;
		if (!conn_deliver(conn, &run, now))
			return;
	}
}

/* false: it cannot have its copy of the broadcast under way.  Where memory is short, those who are furthest behind
 * are closed for it. */
static bool
conn_broadcast_to(struct mux_conn *conn, struct mux_client *client)
{
	struct mux_client *behind;

	while (!conn_is_too_much(conn, client, 1)) {
		if (mux_queue_broadcast_to(conn->queue, client->asker.index))
			return true;
		behind = mux_clients_furthest_behind(conn->clients);
		if (behind == NULL || behind == client)
			return false;
		conn_close_slow(conn, behind, true);
	}
	return false;
}

/* Takes over the broadcast under way, from client to client, and ends it. */
static void
conn_broadcast_on(struct mux_conn *conn, int64_t now)
{
	struct mux_client *client;

	for (uint64_t i = conn->queue->record->broadcast_slot; i < conn->clients->slots; i++) {
		client = mux_clients_alive(conn->clients, (uint32_t)i);
		if (client == NULL || client->owner == NULL)
			continue;
		if (conn_broadcast_to(conn, client))
			mux_client_flush(client, now);
		else
			conn_close_slow(conn, client, true);
	}
	mux_queue_broadcast_end(conn->queue);
}

static void
conn_broadcast_begin(struct mux_conn *conn, size_t bytes, uint64_t messages, int64_t now)
{
	if (bytes == 0)
		return;
	mux_queue_broadcast_begin(conn->queue, bytes, messages);
	conn_broadcast_on(conn, now);
}

/* What came goes to all clients.  One that comes while a heartbeat is out may be its answer, which is nobody else's;
 * if nothing is expected any message is a sign of life, and everybody's. */
static void
conn_take_broadcast(struct mux_conn *conn, int64_t now)
{
	size_t bytes = 0, length;
	uint64_t messages = 0;
	enum framing_result result = FRAMING_MORE;

	if (conn->queue->record->broadcast_slot != 0)
		conn_broadcast_on(conn, now);
	while (conn_came(conn) > bytes && (result = conn_parse(conn, bytes, &length)) == FRAMING_WHOLE) {
		bytes += length;
		messages++;
		if (conn->policy.beaten == 0 || !conn_is_pulse(conn, bytes - length, length))
			continue;
		conn->policy.beaten = 0;
		if (conn->rules->settings->heartbeat_expect == NULL)
			continue;
		conn_broadcast_begin(conn, bytes - length, messages - 1, now); /* all before it */
		ring_take(conn->queue->table, conn->queue->record->in, length);
		bytes = 0;
		messages = 0;
	}
	conn_broadcast_begin(conn, bytes, messages, now);
	if (result == FRAMING_MALFORMED || result == FRAMING_TOO_LONG)
		conn_lose_nonsense(conn, result);
}

/* What came is nobody's.  With a heartbeat it must speak the framing. */
static void
conn_discard(struct mux_conn *conn)
{
	enum framing_result result = FRAMING_MORE;
	size_t length;

	if (conn->beat.bytes == NULL)
		ring_take(conn->queue->table, conn->queue->record->in, conn_came(conn));
	while (conn_came(conn) > 0 && (result = conn_parse(conn, 0, &length)) == FRAMING_WHOLE) {
		if (conn_is_pulse(conn, 0, length))
			conn->policy.beaten = 0;
		ring_take(conn->queue->table, conn->queue->record->in, length);
	}
	if (result == FRAMING_MALFORMED || result == FRAMING_TOO_LONG)
		conn_lose_nonsense(conn, result);
}

/* Hands out what came from the upstream, as far as it is whole. */
static void
conn_hand_out(struct mux_conn *conn, int64_t now)
{
	struct mux_queue *queue = conn->queue;
	volatile uint32_t *handling = &queue->table->header->handling;

	conn->hands_out = false;
	*handling = TABLE_HANDLING_CONN | queue->record->upstream; /* K7: three deaths over what it says end it */
	switch (conn->rules->settings->replies) {
	case SHARED_ORDERED:
		conn_take_replies(conn, now);
		break;
	case SHARED_BROADCAST:
		conn_take_broadcast(conn, now);
		break;
	case SHARED_NONE:
		conn_discard(conn);
		break;
	}
	*handling = 0;
	ring_release(queue->table, mux_queue_payer(queue), &queue->record->in);
}

/* One read.  Whether there may be more at once. */
static bool
conn_read(struct mux_conn *conn, int64_t now)
{
	struct mux_queue *queue = conn->queue;
	bool full;
	ssize_t n;

	if (ring_room(queue->table, mux_queue_payer(queue), &queue->record->in, CONN_ROOM) == NULL)
		return conn_want(conn, now);
	n = io_journal_receive(queue->table, queue->record->in, conn->fd, CONN_ROOM, &conn->error);
	if (n > 0) {
		mux_policy_hear(&conn->policy, now);
		full = n == IO_JOURNAL_MOST || ring_spare(queue->table, queue->record->in) == 0;
		conn_hand_out(conn, now);
		return full;
	}
	ring_release(queue->table, mux_queue_payer(queue), &queue->record->in);
	if (n != -EAGAIN)
		conn_lose(conn, conn->error != 0 ? strerror(conn->error) : "ended by the server");
	return false;
}

void
mux_conn_take(struct mux_conn *conn, int64_t now)
{
	if (conn->hands_out && conn->policy.state == MUX_OPEN)
		conn_hand_out(conn, now);
	for (int i = 0; i < CONN_READS && conn->reads && conn->policy.state == MUX_OPEN; i++)
		conn->reads = conn_read(conn, now);
	conn->reads = false;
}

static struct mux_limits
conn_limits(const struct mux_conn *conn)
{
	const struct shared_settings *settings = conn->rules->settings;

	struct mux_limits limits = { .beats = conn->beat.bytes != NULL, .interval = settings->heartbeat_interval,
		.timeout = settings->heartbeat_timeout };

	limits.reply_timeout = shared_reply_timeout(settings, &limits.spares);
	return limits;
}

/* Whether others wait behind who is owed the oldest reply, who may wait for a place in the queue, too. */
static bool
conn_is_crowded(const struct mux_conn *conn)
{
	const struct mux_client *oldest;

	if (mux_queue_count(conn->queue) == 0)
		return false;
	oldest = mux_clients_at(conn->clients, mux_queue_client(conn->queue, mux_queue_at(conn->queue, 0)->who));
	return mux_queue_has_others(conn->queue) ||
	    conn->clients->waiting.count > (oldest != NULL && oldest->state == MUX_CLIENT_WAITS);
}

static void
conn_check_liveness(struct mux_conn *conn, int64_t now)
{
	const struct mux_limits limits = conn_limits(conn);
	unsigned char *room;

	if (mux_conn_rests(conn) && mux_conn_in_flight(conn) == 0)
		return;
	if (limits.spares)
		mux_policy_note_others(&conn->policy, conn_is_crowded(conn), now);
	switch (mux_policy_judge(&conn->policy, &limits, now)) {
	case MUX_ALIVE:
		break;
	case MUX_BEAT:
		if ((room = mux_queue_room(conn->queue, 1, conn->beat.length)) == NULL)
			break;
		memcpy(room, conn->beat.bytes, conn->beat.length);
		mux_queue_ask(conn->queue, 0, 0, &conn->beat.length, 1, NULL);
		conn->policy.beaten = now;
		break;
	case MUX_BROKEN:
		conn_lose(conn, "it takes nothing more");
		break;
	case MUX_SILENT:
		conn->queue->record->stuck = TABLE_STUCK_GUILTY;
		conn_lose(conn, "no reply within reply_timeout");
		break;
	case MUX_NO_PULSE:
		conn_lose(conn, "no answer to the heartbeat");
		break;
	}
}

/* Looks who takes nothing.  While others are short of memory it is not for those who do not take what they were
 * given. */
static void
conn_check_slow(struct mux_conn *conn, int64_t now)
{
	struct mux_clients *clients = conn->clients;
	struct mux_client *behind;

	TAILQ_FOREACH(behind, &clients->blocked, blocked)
		mux_client_look(behind, now);
	if (conn->pressed != NULL && mux_policy_is_hopeless(&conn->policy, &conn->pressed->asker.reader, now))
		conn_close_slow(conn, conn->pressed, false);
	behind = mux_clients_furthest_behind(clients);
	if (mux_policy_check_short(&conn->policy, behind == NULL ? NULL : &behind->asker.reader,
	    budget_short(conn->queue->table->budget, conn->queue->service) > 0, now))
		conn_close_slow(conn, behind, false);
}

static void
conn_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct mux_conn *conn = arg;

	(void)fd;
	if (what & EV_READ)
		conn->reads = true;
	mux_turn_soon(conn->clients);
}

void
mux_conn_open(struct mux_conn *conn, uint32_t index, int64_t now)
{
	socklen_t length = sizeof(int);
	int domain = AF_UNSPEC;

	conn->fd = conn->queue->table->conns[index].fd;
	conn->is_local = getsockopt(conn->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
	conn->error = 0;
	conn->progress = (struct framing_progress){ 0 };
	conn->lost[0] = '\0';
	mux_policy_open(&conn->policy, now);
	event_assign(&conn->read, conn->clients->loop, conn->fd, EV_READ | EV_PERSIST, conn_on_ready, conn);
	event_assign(&conn->write, conn->clients->loop, conn->fd, EV_WRITE | EV_PERSIST, conn_on_ready, conn);
	loop_event_add(&conn->read);
}

void
mux_conn_close(struct mux_conn *conn, int64_t now)
{
	loop_event_stop(&conn->read);
	loop_event_stop(&conn->write);
	budget_wait_cancel(conn->wait);
	conn->wait = NULL;
	conn->fd = -1;
	conn->pressed = NULL;
	conn->reads = conn->hands_out = false;
	mux_policy_close(&conn->policy, now);
}

void
mux_conn_release(struct mux_conn *conn, const struct mux_client *client, bool left, int64_t now)
{
	const struct mux_rules *rules = conn->rules;
	uint64_t taken;

	if (client != conn->pressed || conn->policy.state != MUX_PRESSED)
		return;
	taken = mux_client_record(client)->bytes[TABLE_DOWN];
	mux_policy_take(&conn->policy, &client->asker.reader, taken - conn->taken, now);
	conn->taken = taken;
	if (left || mux_bytes_told(rules, client->asker.index) <= CONN_RELEASE * mux_most_bytes(rules))
		conn_read_again(conn, now);
}

void
mux_conn_look(struct mux_conn *conn, int64_t now)
{
	conn_check_slow(conn, now);
	conn_check_liveness(conn, now);
	mux_conn_retire(conn);
}

int64_t
mux_conn_period(const struct mux_conn *conn)
{
	const struct mux_limits limits = conn_limits(conn);
	const struct mux_clients *clients = conn->clients;
	const struct mux_queue *queue = conn->queue;
	struct mux_waits waits = { .blocked = !TAILQ_EMPTY(&clients->blocked),
		.waiting = clients->waiting.count + clients->wanting.count > 0,
		.refused = clients->rules.closed,
		.queued = mux_queue_count(queue) > 0, .acknowledges = !mux_is_ordered(&clients->rules),
		.hold_timeout = clients->waiting.timeout };

	waits.is_due = waits.waiting || conn->rules->spools || mux_queue_has_more(queue) || mux_conn_rests(conn);
	return mux_policy_period(&conn->policy, &limits, &waits);
}
