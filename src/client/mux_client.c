#include "client/mux_client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/peer_closed.h"
#include "base/log.h"
#include "base/mem.h"
#include "keep/io_journal.h"
#include "client/shared_parts.h"
#include "keep/buffers.h"

/* A client's buffer has at least this much room before it is read. */
#define MUX_CLIENT_ROOM (TABLE_BUFFER_SIZE / 4)
/* And so much is read of what is not known to be longer: a page. */
#define MUX_CLIENT_READ 4096

static bool
mux_client_is_of_packets(const struct mux_client *mux_client)
{
	return mux_client->shared->settings->type != LISTENER_STREAM;
}

/* Who is not read stays watched until it says something more: most clients wait for their replies first, and two
 * changes of the watch for each turn of theirs would cost as much as the turn. */
void
mux_client_update_reading(struct mux_client *mux_client)
{
	bool reading = !mux_client->ended && !mux_client->stuck && !mux_client->waiting && !mux_client->writing &&
	    mux_client->wait == NULL && !mux_client_is_last(mux_client);

	mux_client->reading = reading;
	if (!reading || mux_client->watched)
		return;
	mux_client->watched = true;
	event_add(&mux_client->read, NULL);
}

static void
mux_client_update_writing(struct mux_client *mux_client, bool writing)
{
	if (writing == mux_client->writing)
		return;
	mux_client->writing = writing;
	if (writing) {
		mux_client->shared->blocked++;
		event_add(&mux_client->write, NULL);
		shared_tick_soon(mux_client->shared);
	} else {
		mux_client->shared->blocked--;
		mux_client->deaf_since = 0;
		event_del(&mux_client->write);
	}
}

void
mux_client_wait(struct mux_client *mux_client)
{
	struct shared *shared = mux_client->shared;

	if (mux_client->waiting)
		return;
	mux_client->waiting = true;
	if (mux_client->waiting_since == 0)
		mux_client->waiting_since = clock_now();
	TAILQ_INSERT_TAIL(&shared->waiting, mux_client, waiting_entry);
	shared->waiting_count++;
	shared_tell_waiting(shared);
	shared_tick_soon(shared);
}

void
mux_client_wait_no_more(struct mux_client *mux_client)
{
	if (!mux_client->waiting)
		return;
	mux_client->waiting = false;
	TAILQ_REMOVE(&mux_client->shared->waiting, mux_client, waiting_entry);
	mux_client->shared->waiting_count--;
}

void
mux_client_owe(struct mux_client *mux_client, int change)
{
	bool pending = mux_client->in_flight > 0;

	mux_client->in_flight += (unsigned)change;
	mux_client->shared->owed_members += (unsigned)((mux_client->in_flight > 0) - pending);
}

void
mux_client_dirty(struct mux_client *mux_client)
{
	if (mux_client->dirty)
		return;
	mux_client->dirty = true;
	TAILQ_INSERT_TAIL(&mux_client->shared->dirty, mux_client, dirty_entry);
}

static void
mux_client_clean(struct mux_client *mux_client)
{
	if (mux_client->dirty)
		TAILQ_REMOVE(&mux_client->shared->dirty, mux_client, dirty_entry);
	mux_client->dirty = false;
}

void
mux_client_finish(struct mux_client *mux_client, enum closing_cause cause)
{
	if (mux_client->client != NULL && mux_client->client->cause == CLOSING_UNKNOWN) {
		mux_client->client->cause = cause;
		mux_client->client->asked = cause != CLOSING_PROTOCOL && cause != CLOSING_STATE &&
		    cause != CLOSING_CLIENT;
	}
	mux_client_record(mux_client)->flags |= TABLE_CLIENT_LAST;
	table_barrier();
	mux_client_wait_no_more(mux_client);
	mux_client->stuck = false;
	ring_drop(mux_client->shared->table, mux_client_payer(mux_client), mux_client_in(mux_client));
	mux_client_update_reading(mux_client);
	mux_client_dirty(mux_client);
}

bool
mux_client_end_if_through(struct mux_client *mux_client)
{
	/* all that it asked has been moved on */
	bool silent = mux_client->ended && !mux_client->stuck && !mux_client->waiting;
	bool given = ring_length(mux_client->shared->table, *mux_client_out(mux_client)) == 0;
	bool hears = silent && mux_client->shared->settings->replies == SHARED_BROADCAST;
	bool through = given && (mux_client_is_last(mux_client) || (silent && !hears &&
	    mux_client->in_flight == 0));

	/* of who is gone it is nobody's */
	if (mux_client->client == NULL || (!through && !(silent && mux_client->gone)))
		return false;
	/* That it was to end may have been decided by a worker that has died. */
	client_is_over(mux_client->client, mux_client_is_last(mux_client) ? CLOSING_UNKNOWN : CLOSING_CLIENT);
	return true;
}

/* Sends the next message to a client of packets, without its framing.  Bytes, or -errno. */
static ssize_t
mux_client_send_packet(struct mux_client *mux_client)
{
	struct shared *shared = mux_client->shared;
	const unsigned char *bytes = ring_bytes(shared->table, *mux_client_out(mux_client));
	size_t length = ring_length(shared->table, *mux_client_out(mux_client)), whole, offset, contents;
	struct framing_progress progress = { 0 };

	if (shared->framing->reply(&progress, bytes, length, length, &whole) != FRAMING_WHOLE)
		return -EPROTO;
	offset = shared->framing->unwrap(bytes, whole, &contents);
	return io_journal_send_packet(shared->table, mux_client->index, TABLE_DOWN, mux_client_record(mux_client)->fd,
	    (uint32_t)offset, (uint32_t)contents, (uint32_t)whole);
}

/* All that is there.  0 when it is gone, or -errno. */
static int
mux_client_send(struct mux_client *mux_client)
{
	struct table *table = mux_client->shared->table;
	int fd = mux_client_record(mux_client)->fd;
	ssize_t n;

	while (ring_length(table, *mux_client_out(mux_client)) > 0) {
		n = mux_client_is_of_packets(mux_client) ? mux_client_send_packet(mux_client) :
		    io_journal_send(table, mux_client->index, TABLE_DOWN, fd);
		if (n < 0)
			return (int)n;
		mux_client_record(mux_client)->active = clock_tick();
	}
	ring_release(table, shared_payer(mux_client->shared), mux_client_out(mux_client));
	return 0;
}

/* It has taken what it was given: it may have more on the way, up to a limit. */
static void
mux_client_widen(struct mux_client *mux_client)
{
	if (mux_client->window < SHARED_WINDOW_MOST && mux_client->in_flight * 2 <= mux_client->window)
		mux_client->window *= 2;
}

void
mux_client_flush(struct mux_client *mux_client)
{
	struct shared *shared = mux_client->shared;
	uint64_t before = mux_client_record(mux_client)->bytes[TABLE_DOWN];
	int error;

	mux_client_clean(mux_client);
	error = mux_client_send(mux_client);
	if (error != 0 && error != -EAGAIN && error != -ENOBUFS) {
		if (error == -EMSGSIZE)
			log_notice(shared->name, "a reply to client %llu is longer than a packet may be "
			    "(net.core.wmem_max): closed", (unsigned long long)mux_client_record(mux_client)->id);
		client_is_over(mux_client->client, error == -EMSGSIZE ? CLOSING_LIMIT : CLOSING_CLIENT);
		return;
	}
	if (error != 0)
		mux_client_note_blocked(mux_client, mux_client_record(mux_client)->bytes[TABLE_DOWN] != before);
	mux_client_update_writing(mux_client, error != 0);
	if (error == 0) {
		mux_client_widen(mux_client);
		if (mux_client_end_if_through(mux_client))
			return;
	}
	mux_client_ask(mux_client);
	if (shared->choked == mux_client &&
	    ring_length(shared->table, *mux_client_out(mux_client)) <= SHARED_UNCHOKE * shared_room_of_client(shared))
		shared_unchoke(shared);
}

static void
mux_client_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct mux_client *mux_client = arg;
	struct table_header *header = mux_client->shared->table->header;

	(void)fd;
	(void)what;
	header->handling = mux_client->index;
	mux_client_flush(mux_client);
	header->handling = 0;
}

/* What it says is not whole, and others wait for the memory that it has. */
static void
mux_client_give_up(struct mux_client *mux_client)
{
	log_warning(mux_client->shared->name, "client %llu does not finish its message while memory is short: closed",
	    (unsigned long long)mux_client_record(mux_client)->id);
	if (mux_client->client != NULL)
		mux_client_finish(mux_client, CLOSING_MEMORY);
	else
		ring_drop(mux_client->shared->table, mux_client_payer(mux_client), mux_client_in(mux_client));
}

/* While memory is short one client after the other gets what its message needs to be whole: it is moved on then, and
 * its memory is free for the next.  One that does not come to the end of its message makes others wait, and is closed
 * after a while. */
static bool
mux_client_is_favoured(struct mux_client *mux_client)
{
	struct shared *shared = mux_client->shared;
	struct mux_client *favoured = shared->favoured;
	int64_t now = clock_now();

	if (favoured == mux_client)
		return true;
	if (favoured != NULL && ring_length(shared->table, *mux_client_in(favoured)) > 0) {
		if (favoured->reading && now - shared->favoured_since >= SHARED_STARVED)
			mux_client_give_up(favoured);
		return false;
	}
	shared->favoured = mux_client;
	shared->favoured_since = now;
	return true;
}

/* Room for at least one byte, if that may be; for want of memory less than wanted. */
static bool
mux_client_squeeze(struct mux_client *mux_client, size_t want)
{
	struct shared *shared = mux_client->shared;
	struct budget_payer payer = mux_client_payer(mux_client);

	if (ring_spare(shared->table, *mux_client_in(mux_client)) > 0)
		return true;
	if (*mux_client_in(mux_client) == 0)
		*mux_client_in(mux_client) = buffers_claim_lean(shared->table, payer);
	else if (mux_client_is_favoured(mux_client))
		payer.anyway = true;
	if (!payer.anyway)
		return ring_spare(shared->table, *mux_client_in(mux_client)) > 0;
	return ring_room(shared->table, payer, mux_client_in(mux_client), want) != NULL;
}

/* How many bytes the message is known to lack. */
static size_t
mux_client_missing(const struct mux_client *mux_client)
{
	size_t length = ring_length(mux_client->shared->table, *mux_client_in(mux_client));

	return mux_client->progress.expected > length ? mux_client->progress.expected - length : 0;
}

/* Sees to room for what comes.  A message of known length gets it as it comes, not before. */
static bool
mux_client_make_room(struct mux_client *mux_client)
{
	struct table *table = mux_client->shared->table;
	size_t length = ring_length(table, *mux_client_in(mux_client)), want = MUX_CLIENT_ROOM, missing =
	    mux_client_missing(mux_client);

	if (missing > want)
		want = missing < length ? missing : length > want ? length : want;
	return mux_client_room(mux_client, mux_client_in(mux_client), want) != NULL || mux_client_squeeze(mux_client,
	    want);
}

/* For a packet, which is taken whole. */
static bool
mux_client_make_room_for(struct mux_client *mux_client, size_t length)
{
	struct budget_payer payer = mux_client_payer(mux_client);

	if (mux_client_room(mux_client, mux_client_in(mux_client), length) != NULL)
		return true;
	payer.anyway = mux_client_is_favoured(mux_client);
	return payer.anyway && ring_room(mux_client->shared->table, payer, mux_client_in(mux_client), length) != NULL;
}

/* The next packet is too long for a message.  A client's is left where it is until its replies have come. */
static void
mux_client_refuse_packet(struct mux_client *mux_client, int fd)
{
	if (mux_client->client == NULL) {
		mux_client->shared->record->lost++;
		recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
	} else if (mux_client->in_flight > 0) {
		mux_client->stuck = true;
		mux_client_update_reading(mux_client);
	} else {
		mux_client_reject(mux_client, FRAMING_TOO_LONG);
	}
}

static void mux_client_on_memory(void *arg);

/* No buffer is free for what it says: it is not read until there is one. */
static void
mux_client_starve(struct mux_client *mux_client)
{
	struct budget_payer payer = mux_client_payer(mux_client);

	payer.moves_on = true; /* it is resumed at each look: favour may be what it waits for */
	if (mux_client->wait == NULL)
		mux_client->wait = budget_wait_start(mux_client->shared->table->budget, payer, mux_client_on_memory,
		    mux_client);
	mux_client_update_reading(mux_client);
}

/* Makes room for the packet that is next: bytes of it, 0 at the end of the file, or -errno. */
static ssize_t
mux_client_expect_packet(struct mux_client *mux_client, int fd)
{
	ssize_t n = recv(fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

	if (n < 0)
		return -errno;
	if ((size_t)n > mux_client->shared->settings->max_message) {
		mux_client_refuse_packet(mux_client, fd);
		return -EAGAIN;
	}
	if (n == 0) { /* an empty packet, or the end */
		recv(fd, NULL, 0, MSG_DONTWAIT);
		return mux_client->client != NULL && peer_closed_is_silence(fd) ? 0 : -EAGAIN;
	}
	return mux_client_make_room_for(mux_client, (size_t)n) ? n : -ENOMEM;
}

static ssize_t
mux_client_receive(struct mux_client *mux_client, int fd)
{
	ssize_t n = MUX_CLIENT_READ;

	if (mux_client_is_of_packets(mux_client))
		n = mux_client_expect_packet(mux_client, fd);
	else if (!mux_client_make_room(mux_client))
		n = -ENOMEM;
	else if (mux_client_missing(mux_client) > MUX_CLIENT_READ)
		n = (ssize_t)mux_client_missing(mux_client);
	if (n <= 0)
		return n;
	return io_journal_receive(mux_client->shared->table, *mux_client_in(mux_client), fd, (size_t)n,
	    NULL);
}

/* Nothing more is read; whether it still hears is seen now, or once in a while. */
static void
mux_client_note_end(struct mux_client *mux_client, int fd)
{
	mux_client->ended = true;
	mux_client->gone = peer_closed_has_come(fd);
}

static void
mux_client_read(struct mux_client *mux_client, int fd)
{
	ssize_t n = mux_client_receive(mux_client, fd);

	if (n < 0 && n != -EAGAIN && n != -ENOMEM) /* B3: the error is told once, before what was said */
		n = mux_client_receive(mux_client, fd);
	if (n == -ENOMEM) {
		mux_client_starve(mux_client);
		n = -EAGAIN;
	}
	if (n > 0)
		mux_client_record(mux_client)->active = clock_tick();
	if (n <= 0 && n != -EAGAIN && mux_client->client != NULL)
		mux_client_note_end(mux_client, fd);
	if (n != -EAGAIN || mux_client_is_last(mux_client))
		mux_client_ask(mux_client);
}

static void
mux_client_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct mux_client *mux_client = arg;
	struct table_header *header = mux_client->shared->table->header;

	(void)what;
	if (!mux_client->reading) {
		mux_client->watched = false;
		event_del(&mux_client->read);
		return;
	}
	header->handling = mux_client->index;
	mux_client_read(mux_client, (int)fd);
	header->handling = 0;
}

/* There may be memory again; what is read finds its place at once, before another has it. */
static void
mux_client_on_memory(void *arg)
{
	struct mux_client *mux_client = arg;

	mux_client->wait = NULL;
	mux_client_update_reading(mux_client);
	if (mux_client->reading)
		mux_client_on_readable(event_get_fd(&mux_client->read), EV_READ, mux_client);
}

static void
mux_client_enroll(struct shared *shared, struct mux_client *mux_client)
{
	size_t slots = shared->mux_client_slots;

	if (mux_client->index >= slots) {
		shared->mux_client_slots = mux_client->index + 64;
		shared->members = mem_resize(shared->members, shared->mux_client_slots, sizeof *shared->members);
		for (; slots < shared->mux_client_slots; slots++)
			shared->members[slots] = NULL;
	}
	shared->members[mux_client->index] = mux_client;
}

/* A packet goes whole or not at all: as long a one as the settings allow, if the kernel does. */
static void
mux_client_size_packets(const struct mux_client *mux_client, int fd)
{
	int size = (int)mux_client->shared->settings->max_message;

	if (mux_client->shared->settings->type == LISTENER_SEQPACKET &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == -1)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

struct mux_client *
mux_client_begin(struct shared *shared, struct client *client, uint32_t index, int fd)
{
	struct mux_client *mux_client = slab_take(&shared->slab);

	mux_client->shared = shared;
	mux_client->client = client;
	mux_client->index = index;
	mux_client->window = SHARED_WINDOW_FIRST;
	event_assign(&mux_client->read, shared->loop, fd, EV_READ | EV_PERSIST, mux_client_on_readable, mux_client);
	event_assign(&mux_client->write, shared->loop, fd, EV_WRITE | EV_PERSIST, mux_client_on_writable, mux_client);
	mux_client_enroll(shared, mux_client);
	mux_client_size_packets(mux_client, fd);
	mux_client_update_reading(mux_client);
	return mux_client;
}

struct mux_client *
mux_client_new(struct shared *shared, struct client *client)
{
	return mux_client_begin(shared, client, client->index, client_record(client)->fd);
}

void
mux_client_free(struct mux_client *mux_client)
{
	struct shared *shared;

	if (mux_client == NULL)
		return;
	shared = mux_client->shared;
	mux_client_owe(mux_client, -(int)mux_client->in_flight);
	mux_client_wait_no_more(mux_client);
	mux_client_clean(mux_client);
	mux_client_update_writing(mux_client, false);
	budget_wait_cancel(mux_client->wait);
	if (shared->favoured == mux_client)
		shared->favoured = NULL;
	loop_event_stop(&mux_client->read);
	loop_event_stop(&mux_client->write);
	shared->members[mux_client->index] = NULL;
	slab_give(&shared->slab, mux_client);
	if (shared->choked == mux_client) {
		shared_note_choked(shared);
		shared_give_soon(shared); /* and goes on reading */
	}
}

bool
mux_client_is_asking(const struct mux_client *mux_client)
{
	return mux_client->in_flight > 0 || mux_client->waiting || mux_client->stuck;
}

bool
mux_client_is_gone(const struct mux_client *mux_client)
{
	return !mux_client_is_asking(mux_client) && peer_closed_is_final(mux_client_record(mux_client)->fd);
}
