#include "client/mux_client.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/peer_closed.h"
#include "client/client.h"
#include "keep/budget.h"
#include "keep/buffers.h"
#include "keep/io_journal.h"
#include "upstream/own.h"

/* A client's buffer has at least this much room before it is read. */
#define READ_ROOM (TABLE_BUFFER_SIZE / 4)
/* And so much is read of what is not known to be longer: a page. */
#define READ_PAGE 4096
/* Who does not come to the end of its message while others wait for its memory has so long. */
#define READ_FAVOUR (10 * CLOCK_SECOND)

/* Who pays for what a client says. */
static struct budget_payer
mux_client_payer(const struct mux_client *client)
{
	return (struct budget_payer){ .service = client->clients->rules.queue.service };
}

static volatile uint32_t *
mux_client_said(const struct mux_client *client)
{
	return mux_queue_said(&client->clients->rules.queue, client->asker.index);
}

/* Whether it asks nothing more, and is closed when it has been given what is there. */
static bool
mux_client_is_last(const struct mux_client *client)
{
	return mux_client_record(client)->flags & TABLE_CLIENT_LAST;
}

struct mux_client *
mux_clients_at(const struct mux_clients *clients, uint32_t index)
{
	return index == 0 || index >= clients->slots ? NULL : clients->slot[index];
}

struct mux_client *
mux_clients_alive(const struct mux_clients *clients, uint32_t index)
{
	struct mux_client *client = mux_clients_at(clients, index);

	return client == NULL || mux_client_is_last(client) ? NULL : client;
}

struct mux_client *
mux_clients_furthest_behind(const struct mux_clients *clients)
{
	struct mux_client *behind = NULL, *client;
	size_t most = 0;

	TAILQ_FOREACH(client, &clients->blocked, blocked) {
		if (mux_bytes_told(&clients->rules, client->asker.index) < most)
			continue;
		behind = client;
		most = mux_bytes_told(&clients->rules, client->asker.index);
	}
	return behind;
}

void
mux_client_input(struct mux_client *client, unsigned input)
{
	struct mux_clients *clients = client->clients;

	if (client->state == MUX_CLIENT_OVER)
		return;
	if (client->inputs == 0)
		TAILQ_INSERT_TAIL(&clients->work, client, entry);
	client->inputs |= input;
	mux_turn_soon(clients);
}

static void
mux_client_take_inputs(struct mux_client *client)
{
	if (client->inputs != 0)
		TAILQ_REMOVE(&client->clients->work, client, entry);
	client->inputs = 0;
}

static bool
mux_client_is_read(const struct mux_client *client)
{
	return client->state == MUX_CLIENT_ASKS && client->end == MUX_CLIENT_THERE && client->wait == NULL &&
	    !mux_reader_is_blocked(&client->asker.reader) && !mux_client_is_last(client);
}

/* Who is not read stays watched until it says something more: most clients wait for their replies first, and two
 * changes of the watch for each turn of theirs would cost as much as the turn. */
static void
mux_client_watch(struct mux_client *client)
{
	if (mux_client_is_read(client) && !event_pending(&client->read, EV_READ, NULL))
		loop_event_add(&client->read);
}

/* Of who waits for a connection of its own, which may take long.  Beside that libevent takes no event of the same
 * file; who does not take what it was told has one. */
static void
mux_client_watch_leaving(struct mux_client *client)
{
	if (client->state != MUX_CLIENT_WANTS || mux_reader_is_blocked(&client->asker.reader))
		return;
	event_del(&client->read);
	client_watch(client->owner, true);
}

/* For a place in the queue, or a connection of its own. */
static void
mux_client_wait(struct mux_client *client, struct waiting_queue *queue, int64_t now)
{
	struct mux_clients *clients = client->clients;

	client->state = queue == &clients->waiting ? MUX_CLIENT_WAITS : MUX_CLIENT_WANTS;
	if (client->waiting.since == 0) /* else it keeps its place */
		client->waiting = (struct waiting_entry){ .since = now, .place = ++clients->places,
			.unlimited = !mux_is_ordered(&clients->rules) };
	waiting_enter(queue, &client->waiting);
	mux_client_watch_leaving(client);
}

static void
mux_client_wait_no_more(struct mux_client *client)
{
	if (client->state == MUX_CLIENT_WANTS)
		client_watch(client->owner, false);
	if (client->state == MUX_CLIENT_WAITS || client->state == MUX_CLIENT_WANTS)
		client->state = MUX_CLIENT_ASKS;
	waiting_leave(&client->waiting);
	own_cancel(client->own);
	client->own = NULL;
}

void
mux_client_owe(struct mux_client *client, uint32_t count)
{
	client->clients->owed += client->asker.reader.in_flight == 0 && count > 0;
	client->asker.reader.in_flight += count;
}

void
mux_client_answer(struct mux_client *client, uint32_t count, size_t bytes)
{
	if (bytes > 0)
		mux_reader_answer(&client->asker.reader, count, bytes);
	else
		client->asker.reader.in_flight -= count;
	client->clients->owed -= client->asker.reader.in_flight == 0 && count > 0;
}

/* It takes what is there, or what there is is nobody's. */
static void
mux_client_unblock(struct mux_client *client)
{
	if (!mux_reader_is_blocked(&client->asker.reader))
		return;
	client->asker.reader.deaf_since = 0;
	TAILQ_REMOVE(&client->clients->blocked, client, blocked);
	event_del(&client->write);
}

static void
mux_client_unconfirm(struct mux_client *client)
{
	if (client->spooled != 0)
		TAILQ_REMOVE(&client->clients->unconfirmed, client, unconfirmed);
	client->spooled = 0;
}

void
mux_client_finish(struct mux_client *client, enum closing_cause cause)
{
	if (client->state == MUX_CLIENT_OVER)
		return;
	if (client->owner != NULL && client->owner->cause == CLOSING_UNKNOWN) {
		client->owner->cause = cause;
		client->owner->asked = cause != CLOSING_PROTOCOL && cause != CLOSING_STATE &&
		    cause != CLOSING_CLIENT;
	}
	mux_client_record(client)->flags |= TABLE_CLIENT_LAST;
	table_barrier();
	mux_client_wait_no_more(client);
	mux_client_unconfirm(client);
	client->state = MUX_CLIENT_ASKS;
	ring_drop(client->clients->rules.queue.table, mux_client_payer(client), mux_client_said(client));
	mux_client_input(client, MUX_INPUT_FLUSH);
}

/* Its memory is free at once.  A worker that dies before it is closed leaves none that continues without what it was
 * to be told: it is its last. */
void
mux_client_close(struct mux_client *client, enum closing_cause cause)
{
	struct mux_clients *clients = client->clients;
	struct table *table = clients->rules.queue.table;

	if (client->state == MUX_CLIENT_OVER || client->owner == NULL)
		return;
	mux_client_record(client)->flags |= TABLE_CLIENT_LAST;
	table_barrier();
	client->asked = mux_client_is_asking(client);
	client->cause = cause;
	mux_client_wait_no_more(client);
	mux_client_unconfirm(client);
	mux_client_take_inputs(client);
	client->state = MUX_CLIENT_OVER;
	TAILQ_INSERT_TAIL(&clients->over, client, entry);
	mux_client_unblock(client);
	ring_drop(table, mux_client_payer(client), mux_client_said(client));
	ring_drop(table, mux_queue_payer(&clients->rules.queue),
	    mux_queue_told(&clients->rules.queue, client->asker.index));
	mux_turn_soon(clients);
}

/* It has said its last, and all of that was taken: once it is on the disk it is told so.  What others have said
 * before comes there before. */
static void
mux_client_await_disk(struct mux_client *client)
{
	const struct mux_rules *rules = &client->clients->rules;
	const struct table_shared *record = rules->queue.record;

	if (client->spooled != 0)
		return;
	client->spooled = rules->spooled + (record->spool_next - record->spool_written) + 1;
	TAILQ_INSERT_TAIL(&client->clients->unconfirmed, client, unconfirmed);
	mux_turn_soon(client->clients);
}

void
mux_clients_confirm(struct mux_clients *clients)
{
	struct mux_rules *rules = &clients->rules;
	struct mux_client *client;

	while ((client = TAILQ_FIRST(&clients->unconfirmed)) != NULL && client->spooled <= rules->spooled + 1) {
		if (!mux_queue_answer_here(&rules->queue, client->asker.index, &(struct mux_queue_answer){
			.text = rules->confirmation.bytes, .length = rules->confirmation.length,
			.change.flip = TABLE_CLIENT_LAST }))
			return; /* there is no memory for it now */
		mux_client_unconfirm(client);
		mux_client_input(client, MUX_INPUT_FLUSH);
	}
}

/* Whether it is told when all that it said is on the disk. */
static bool
mux_client_is_confirmed(const struct mux_client *client)
{
	return client->clients->rules.confirmation.bytes != NULL && client->owner != NULL &&
	    mux_bytes_said(&client->clients->rules, client->asker.index) == 0 &&
	    !(mux_client_record(client)->flags & TABLE_CLIENT_DROPPED);
}

/* Closes it when all that it asked has been moved on and answered, and it has been given all that is there; of who is
 * gone all is nobody's.  That it was to end may have been decided by a worker that has died. */
static void
mux_client_end_if_through(struct mux_client *client)
{
	const struct mux_rules *rules = &client->clients->rules;
	bool silent = client->end != MUX_CLIENT_THERE && client->state == MUX_CLIENT_ASKS;
	bool hears = rules->settings->replies == SHARED_BROADCAST, last = mux_client_is_last(client);
	bool through = mux_bytes_told(rules, client->asker.index) == 0 &&
	    (last || (silent && !hears && client->asker.reader.in_flight == 0));

	if (silent && !last && client->end == MUX_CLIENT_ENDED && mux_client_is_confirmed(client))
		mux_client_await_disk(client);
	else if (through || (silent && client->end == MUX_CLIENT_GONE))
		mux_client_close(client, last ? CLOSING_UNKNOWN : CLOSING_CLIENT);
}

/* Sends the next message to a client of packets, without its framing.  Bytes, or -errno. */
static ssize_t
mux_client_send_packet(struct mux_client *client)
{
	struct mux_queue *queue = &client->clients->rules.queue;
	const struct framing *framing = client->clients->rules.framing;
	const unsigned char *bytes = ring_bytes(queue->table, *mux_queue_told(queue, client->asker.index));
	size_t length = mux_bytes_told(&client->clients->rules, client->asker.index), whole, offset, contents;
	struct framing_progress progress = { 0 };

	if (framing->reply(&progress, bytes, length, length, &whole) != FRAMING_WHOLE)
		return -EPROTO;
	offset = framing->unwrap(bytes, whole, &contents);
	return io_journal_send_packet(queue->table, client->asker.index, TABLE_DOWN, mux_client_record(client)->fd,
	    (uint32_t)offset, (uint32_t)contents, (uint32_t)whole);
}

/* All that is there.  0 when it is gone, or -errno; *ret_took: it took some. */
static int
mux_client_send(struct mux_client *client, bool *ret_took)
{
	struct mux_queue *queue = &client->clients->rules.queue;
	ssize_t n;

	*ret_took = false;
	while (mux_bytes_told(&client->clients->rules, client->asker.index) > 0) {
		n = mux_has_packets(&client->clients->rules) ? mux_client_send_packet(client) :
		    io_journal_send(queue->table, client->asker.index, TABLE_DOWN, mux_client_record(client)->fd);
		if (n < 0)
			return (int)n;
		mux_client_record(client)->active = clock_tick();
		*ret_took = true;
	}
	ring_release(queue->table, mux_queue_payer(queue), mux_queue_told(queue, client->asker.index));
	return 0;
}

/* Bytes that the client's host has for it, in the kernel's measure. */
static int
mux_client_queued(const struct mux_client *client)
{
	int bytes = 0;

	ioctl(mux_client_record(client)->fd, SIOCOUTQ, &bytes);
	return bytes;
}

void
mux_client_look(struct mux_client *client, int64_t now)
{
	mux_reader_look(&client->asker.reader, mux_client_queued(client), now);
}

void
mux_client_flush(struct mux_client *client, int64_t now)
{
	struct mux_reader *reader = &client->asker.reader;
	bool blocked = mux_reader_is_blocked(reader), took;
	int error = mux_client_send(client, &took);

	if (error == -EMSGSIZE)
		log_notice(client->clients->rules.name, "a reply to client %llu is longer than a packet may be "
		    "(net.core.wmem_max): closed", (unsigned long long)mux_client_record(client)->id);
	if (error != 0 && !loop_is_busy(-error)) {
		mux_client_close(client, error == -EMSGSIZE ? CLOSING_LIMIT : CLOSING_CLIENT);
		return;
	}
	if (error != 0) {
		if (!blocked) {
			if (client->state == MUX_CLIENT_WANTS)
				client_watch(client->owner, false);
			TAILQ_INSERT_TAIL(&client->clients->blocked, client, blocked);
			loop_event_add(&client->write);
		}
		mux_reader_block(reader, mux_client_queued(client), took, now);
		return;
	}
	mux_client_unblock(client);
	mux_client_watch_leaving(client);
	mux_reader_take_all(reader);
	if ((blocked || client->state == MUX_CLIENT_STUCK || *mux_client_said(client) != 0 ||
	    client->end != MUX_CLIENT_THERE || mux_client_is_last(client)))
		mux_client_input(client, MUX_INPUT_ASK); /* else nothing of it waits for that */
}

/* While memory is short one client after the other gets what its message needs to be whole: it is moved on then, and
 * its memory is free for the next.  One that does not come to the end of its message makes others wait, and is closed
 * after a while. */
static bool
mux_client_is_favoured(struct mux_client *client, int64_t now)
{
	struct mux_clients *clients = client->clients;
	struct mux_client *favoured = clients->favoured;

	if (favoured == client)
		return true;
	if (favoured == NULL || mux_bytes_said(&clients->rules, favoured->asker.index) == 0) {
		clients->favoured = client;
		clients->favoured_since = now;
		return true;
	}
	if (!mux_client_is_read(favoured) || now - clients->favoured_since < READ_FAVOUR)
		return false;
	log_warning(clients->rules.name, "client %llu does not finish its message while memory is short: closed",
	    (unsigned long long)mux_client_record(favoured)->id);
	if (favoured->owner != NULL)
		mux_client_finish(favoured, CLOSING_MEMORY);
	else
		ring_drop(clients->rules.queue.table, mux_client_payer(favoured), mux_client_said(favoured));
	return false;
}

/* How many bytes the message is known to lack. */
static size_t
mux_client_missing(const struct mux_client *client)
{
	size_t length = mux_bytes_said(&client->clients->rules, client->asker.index);

	return client->asker.progress.expected > length ? client->asker.progress.expected - length : 0;
}

/* Sees to room for so much; for lack of memory, of a stream, for less than wanted, or of who is favoured. */
static bool
mux_client_make_room(struct mux_client *client, size_t want, int64_t now)
{
	struct table *table = client->clients->rules.queue.table;
	struct budget_payer payer = mux_client_payer(client);
	volatile uint32_t *said = mux_client_said(client);
	bool packets = mux_has_packets(&client->clients->rules);

	if (ring_room(table, payer, said, want) != NULL || (!packets && ring_spare(table, *said) > 0))
		return true;
	if (!packets && *said == 0) {
		*said = buffers_claim_lean(table, payer);
		return ring_spare(table, *said) > 0;
	}
	payer.anyway = mux_client_is_favoured(client, now);
	return payer.anyway && ring_room(table, payer, said, want) != NULL;
}

/* Does what is to be done after what it asked. */
static void
mux_client_obey(struct mux_client *client, struct mux_asked asked, int64_t now)
{
	struct mux_clients *clients = client->clients;

	clients->owed += asked.owed > 0 && client->asker.reader.in_flight == asked.owed;
	if (asked.told)
		mux_client_input(client, MUX_INPUT_FLUSH);
	client->state = asked.why == MUX_ASKED_STUCK ? MUX_CLIENT_STUCK : MUX_CLIENT_ASKS;
	client->first = asked.first;
	if (asked.why == MUX_ASKED_WAIT || asked.why == MUX_ASKED_OWN)
		mux_client_wait(client, asked.why == MUX_ASKED_WAIT ? &clients->waiting : &clients->wanting, now);
	else
		client->waiting.since = 0;
	if (asked.why == MUX_ASKED_LAST)
		mux_client_finish(client, asked.cause);
}

/* The next packet is too long for a message.  A client's is left where it is until its replies have come. */
static void
mux_client_refuse_packet(struct mux_client *client, int fd, int64_t now)
{
	if (client->owner == NULL) {
		client->clients->rules.queue.record->lost++;
		recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
	} else if (client->asker.reader.in_flight > 0) {
		client->state = MUX_CLIENT_STUCK;
	} else {
		mux_client_obey(client, mux_ask_reject(&client->clients->rules, &client->asker, FRAMING_TOO_LONG),
		    now);
	}
}

/* The next packet: its bytes, 0 at the end of the file, or -errno. */
static ssize_t
mux_client_expect_packet(struct mux_client *client, int fd, int64_t now)
{
	ssize_t n = -1;

	/* B3: an error is told once, and first */
	for (int i = 0; i < 2 && n == -1 && (i == 0 || errno != EAGAIN); i++)
		n = recv(fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
	if (n == -1)
		return -errno;
	if ((size_t)n > client->clients->rules.settings->max_message) {
		mux_client_refuse_packet(client, fd, now);
		return -EAGAIN;
	}
	if (n > 0)
		return n;
	recv(fd, NULL, 0, MSG_DONTWAIT); /* an empty packet, or the end */
	return client->owner != NULL && peer_closed_is_silence(fd) ? 0 : -EAGAIN;
}

static ssize_t
mux_client_receive(struct mux_client *client, int fd, int64_t now)
{
	const struct mux_rules *rules = &client->clients->rules;
	bool packets = mux_has_packets(rules);
	ssize_t n = packets ? mux_client_expect_packet(client, fd, now) : (ssize_t)mux_client_missing(client);
	size_t want = (size_t)n, length = mux_bytes_said(rules, client->asker.index);
	int error = 0;

	if (packets && n <= 0)
		return n;
	if (!packets && want > length) /* a message of known length gets room as it comes, not before */
		want = length;
	if (!packets && want < READ_ROOM)
		want = READ_ROOM;
	if (!mux_client_make_room(client, want, now))
		return -ENOMEM;
	if (!packets && n < READ_PAGE)
		n = READ_PAGE;
	n = io_journal_receive(rules->queue.table, *mux_client_said(client), fd, (size_t)n, &error);
	client->asker.torn = client->asker.torn || error != 0;
	return n;
}

static void mux_client_on_memory(void *arg);

/* Whether there is more to ask, or it has ended. */
static bool
mux_client_read(struct mux_client *client, int64_t now)
{
	struct budget_payer payer = mux_client_payer(client);
	int fd = (int)event_get_fd(&client->read);
	ssize_t n = mux_client_receive(client, fd, now);

	if (n == -ENOMEM) { /* not read until there may be a buffer, be it by favour: it is resumed at each look */
		payer.moves_on = true;
		client->wait = budget_wait_start(client->clients->rules.queue.table->budget, payer,
		    mux_client_on_memory, client);
		return false;
	}
	if (n == -EAGAIN)
		return mux_client_is_last(client);
	if (n > 0) {
		mux_client_record(client)->active = clock_tick();
	} else if (client->owner != NULL) { /* whether it still hears is seen now, or once in a while */
		client->end = peer_closed_has_come(fd) ? MUX_CLIENT_GONE : MUX_CLIENT_ENDED;
		client->asker.ended = true;
	}
	return true;
}

static void
mux_client_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct mux_client *client = arg;

	(void)fd;
	if (what & EV_WRITE)
		mux_client_input(client, MUX_INPUT_FLUSH);
	else if (mux_client_is_read(client))
		mux_client_input(client, MUX_INPUT_READ);
	else
		event_del(&client->read);
}

/* There may be memory again; what is read finds its place at once, before another has it. */
static void
mux_client_on_memory(void *arg)
{
	struct mux_client *client = arg;
	struct table_header *header = client->clients->rules.queue.table->header;

	client->wait = NULL;
	mux_client_watch(client);
	if (!mux_client_is_read(client))
		return;
	header->handling = client->asker.index;
	if (mux_client_read(client, clock_now()))
		mux_client_input(client, MUX_INPUT_ASK);
	header->handling = 0;
}

/* Moves its messages on, as far as they go. */
static void
mux_client_ask(struct mux_client *client, bool first, int64_t now)
{
	struct mux_clients *clients = client->clients;
	struct mux_asked asked = { 0 };

	if (!mux_reader_is_blocked(&client->asker.reader) && !mux_client_is_last(client))
		asked = mux_ask(&clients->rules, &client->asker, first || clients->waiting.count == 0);
	ring_release(clients->rules.queue.table, mux_client_payer(client), mux_client_said(client));
	mux_client_obey(client, asked, now);
	mux_client_watch(client);
	mux_client_end_if_through(client);
}

bool
mux_client_resume(struct mux_client *client, int64_t now)
{
	mux_client_wait_no_more(client);
	mux_client_ask(client, true, now);
	return client->state != MUX_CLIENT_WAITS;
}

void
mux_client_fail_waiting(struct mux_client *client, enum closing_cause cause, int64_t now)
{
	mux_client_wait_no_more(client);
	mux_client_obey(client, mux_ask_fail(&client->clients->rules, &client->asker, cause), now);
	mux_client_ask(client, false, now);
}

void
mux_client_fail_own(struct mux_client *client, enum closing_cause cause, int64_t now)
{
	mux_client_wait_no_more(client);
	mux_client_obey(client, mux_ask_fail_own(&client->clients->rules, &client->asker, cause), now);
}

void
mux_client_work(struct mux_client *client, int64_t now)
{
	struct table_header *header = client->clients->rules.queue.table->header;
	unsigned inputs = client->inputs;
	bool asks = inputs & ~MUX_INPUT_READ;

	mux_client_take_inputs(client);
	header->handling = client->asker.index; /* K7 */
	if ((inputs & MUX_INPUT_READ) && mux_client_is_read(client))
		asks = mux_client_read(client, now) || asks;
	if (inputs & MUX_INPUT_FLUSH)
		mux_client_flush(client, now);
	if (asks && (client->state == MUX_CLIENT_ASKS || client->state == MUX_CLIENT_STUCK))
		mux_client_ask(client, false, now);
	header->handling = 0;
}

struct mux_client *
mux_client_new(struct mux_clients *clients, struct client *owner, uint32_t index, int fd)
{
	struct mux_client *client = slab_take(&clients->slab);
	int size = (int)clients->rules.settings->max_message;
	size_t slots = clients->slots;

	if (index >= slots) {
		clients->slots = index + 64;
		clients->slot = mem_resize(clients->slot, clients->slots, sizeof(struct mux_client *));
		for (; slots < clients->slots; slots++)
			clients->slot[slots] = NULL;
	}
	clients->slot[index] = client;
	client->clients = clients;
	client->owner = owner;
	client->asker = (struct mux_asker){ .index = index, .datagrams = owner == NULL,
		.reader.window = MUX_WINDOW_FIRST };
	event_assign(&client->read, clients->loop, fd, EV_READ | EV_PERSIST, mux_client_on_ready, client);
	event_assign(&client->write, clients->loop, fd, EV_WRITE | EV_PERSIST, mux_client_on_ready, client);
	/* A packet goes whole or not at all: as long a one as the settings allow, if the kernel does. */
	if (clients->rules.settings->type == LISTENER_SEQPACKET &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == -1)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	mux_client_watch(client);
	if (mux_client_said(client) != 0) /* to a connection of its own, which has ended before it took anything */
		mux_client_input(client, MUX_INPUT_ASK);
	return client;
}

void
mux_client_free(struct mux_client *client)
{
	struct mux_clients *clients;

	if (client == NULL)
		return;
	clients = client->clients;
	mux_client_answer(client, client->asker.reader.in_flight, 0);
	mux_client_wait_no_more(client);
	mux_client_unconfirm(client);
	mux_client_take_inputs(client);
	if (client->state == MUX_CLIENT_OVER)
		TAILQ_REMOVE(&clients->over, client, entry);
	mux_client_unblock(client);
	budget_wait_cancel(client->wait);
	if (clients->favoured == client)
		clients->favoured = NULL;
	loop_event_stop(&client->read);
	loop_event_stop(&client->write);
	clients->slot[client->asker.index] = NULL;
	slab_give(&clients->slab, client);
}

bool
mux_client_is_asking(const struct mux_client *client)
{
	return client->state == MUX_CLIENT_OVER ? client->asked :
	    client->asker.reader.in_flight > 0 || client->state != MUX_CLIENT_ASKS;
}

bool
mux_client_is_gone(const struct mux_client *client)
{
	bool hears = mux_client_is_read(client) ||
	    (client->wait != NULL && *mux_client_said(client) != 0); /* it is to be, for the rest of its message */

	return !hears && !mux_client_is_asking(client) && peer_closed_is_final(mux_client_record(client)->fd);
}
