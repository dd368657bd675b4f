#include "client/member.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/hangup.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/call.h"
#include "client/shared_parts.h"
#include "keep/buffers.h"

/* A client's buffer has at least this much room before it is read. */
#define MEMBER_ROOM (TABLE_BUFFER_SIZE / 4)
/* And so much is read of what is not known to be longer: a page. */
#define MEMBER_READ 4096

static bool
member_is_of_packets(const struct member *member)
{
	return member->shared->settings->type != LISTENER_STREAM;
}

/* Who is not read stays watched until it says something more: most clients wait for their replies first, and two
 * changes of the watch for each turn of theirs would cost as much as the turn. */
void
member_update_reading(struct member *member)
{
	bool reading = !member->ended && !member->stuck && !member->waiting && !member->writing &&
	    member->wait == NULL && !member_is_last(member);

	member->reading = reading;
	if (!reading || member->watched)
		return;
	member->watched = true;
	event_add(&member->read, NULL);
}

static void
member_update_writing(struct member *member, bool writing)
{
	if (writing == member->writing)
		return;
	member->writing = writing;
	if (writing) {
		member->shared->blocked++;
		event_add(&member->write, NULL);
		shared_tick_soon(member->shared);
	} else {
		member->shared->blocked--;
		member->deaf_since = 0;
		event_del(&member->write);
	}
}

void
member_wait(struct member *member)
{
	struct shared *shared = member->shared;

	if (member->waiting)
		return;
	member->waiting = true;
	if (member->waiting_since == 0)
		member->waiting_since = clock_now();
	TAILQ_INSERT_TAIL(&shared->waiting, member, waiting_entry);
	shared->waiting_count++;
	shared_tell_waiting(shared);
	shared_tick_soon(shared);
}

void
member_wait_no_more(struct member *member)
{
	if (!member->waiting)
		return;
	member->waiting = false;
	TAILQ_REMOVE(&member->shared->waiting, member, waiting_entry);
	member->shared->waiting_count--;
}

void
member_owe(struct member *member, int change)
{
	bool owed = member->in_flight > 0;

	member->in_flight += (unsigned)change;
	member->shared->owed_members += (unsigned)((member->in_flight > 0) - owed);
}

void
member_dirty(struct member *member)
{
	if (member->dirty)
		return;
	member->dirty = true;
	TAILQ_INSERT_TAIL(&member->shared->dirty, member, dirty_entry);
}

static void
member_clean(struct member *member)
{
	if (member->dirty)
		TAILQ_REMOVE(&member->shared->dirty, member, dirty_entry);
	member->dirty = false;
}

void
member_finish(struct member *member, enum closing_cause cause)
{
	if (member->session != NULL && member->session->cause == CLOSING_UNKNOWN) {
		member->session->cause = cause;
		member->session->asked = cause != CLOSING_PROTOCOL && cause != CLOSING_STATE &&
		    cause != CLOSING_CLIENT;
	}
	member_record(member)->flags |= TABLE_CLIENT_LAST;
	table_barrier();
	member_wait_no_more(member);
	member->stuck = false;
	flow_drop(member->shared->table, member_payer(member), member_in(member));
	member_update_reading(member);
	member_dirty(member);
}

bool
member_end_if_through(struct member *member)
{
	bool silent = member->ended && !member->stuck && !member->waiting; /* all that it asked has been moved on */
	bool given = flow_length(member->shared->table, *member_out(member)) == 0;
	bool hears = silent && member->shared->settings->replies == SHARED_BROADCAST;
	bool through = given && (member_is_last(member) || (silent && !hears && member->in_flight == 0));

	if (member->session == NULL || (!through && !(silent && member->gone))) /* of who is gone it is nobody's */
		return false;
	/* That it was to end may have been decided by a worker that has died. */
	session_is_over(member->session, member_is_last(member) ? CLOSING_UNKNOWN : CLOSING_CLIENT);
	return true;
}

/* Sends the next message to a client of packets, without its framing.  Bytes, or -errno. */
static ssize_t
member_send_packet(struct member *member)
{
	struct shared *shared = member->shared;
	const unsigned char *bytes = flow_bytes(shared->table, *member_out(member));
	size_t length = flow_length(shared->table, *member_out(member)), whole, offset, contents;
	struct framing_progress progress = { 0 };

	if (shared->framing->reply(&progress, bytes, length, length, &whole) != FRAMING_WHOLE)
		return -EPROTO;
	offset = shared->framing->unwrap(bytes, whole, &contents);
	return call_send_packet(shared->table, member->index, TABLE_DOWN, member_record(member)->fd,
	    (uint32_t)offset, (uint32_t)contents, (uint32_t)whole);
}

/* All that is there.  0 when it is gone, or -errno. */
static int
member_send(struct member *member)
{
	struct table *table = member->shared->table;
	int fd = member_record(member)->fd;
	ssize_t n;

	while (flow_length(table, *member_out(member)) > 0) {
		n = member_is_of_packets(member) ? member_send_packet(member) :
		    call_send(table, member->index, TABLE_DOWN, fd);
		if (n < 0)
			return (int)n;
		member_record(member)->active = clock_tick();
	}
	flow_release(table, shared_payer(member->shared), member_out(member));
	return 0;
}

/* It has taken what it was given: it may have more on the way, up to a limit. */
static void
member_widen(struct member *member)
{
	if (member->window < SHARED_WINDOW_MOST && member->in_flight * 2 <= member->window)
		member->window *= 2;
}

void
member_flush(struct member *member)
{
	struct shared *shared = member->shared;
	uint64_t before = member_record(member)->bytes[TABLE_DOWN];
	int error;

	member_clean(member);
	error = member_send(member);
	if (error != 0 && error != -EAGAIN && error != -ENOBUFS) {
		if (error == -EMSGSIZE)
			log_notice(shared->name, "a reply to client %llu is longer than a packet may be "
			    "(net.core.wmem_max): closed", (unsigned long long)member_record(member)->id);
		session_is_over(member->session, error == -EMSGSIZE ? CLOSING_LIMIT : CLOSING_CLIENT);
		return;
	}
	if (error != 0)
		member_note_blocked(member, member_record(member)->bytes[TABLE_DOWN] != before);
	member_update_writing(member, error != 0);
	if (error == 0) {
		member_widen(member);
		if (member_end_if_through(member))
			return;
	}
	member_ask(member);
	if (shared->choked == member &&
	    flow_length(shared->table, *member_out(member)) <= SHARED_UNCHOKE * shared_room_of_client(shared))
		shared_unchoke(shared);
}

static void
member_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct member *member = arg;
	struct table_header *header = member->shared->table->header;

	(void)fd;
	(void)what;
	header->handling = member->index;
	member_flush(member);
	header->handling = 0;
}

/* What it says is not whole, and others wait for the memory that it has. */
static void
member_give_up(struct member *member)
{
	log_warning(member->shared->name, "client %llu does not finish its message while memory is short: closed",
	    (unsigned long long)member_record(member)->id);
	if (member->session != NULL)
		member_finish(member, CLOSING_MEMORY);
	else
		flow_drop(member->shared->table, member_payer(member), member_in(member));
}

/* While memory is short one client after the other gets what its message needs to be whole: it is moved on then, and
 * its memory is free for the next.  One that does not come to the end of its message makes others wait, and is closed
 * after a while. */
static bool
member_is_favoured(struct member *member)
{
	struct shared *shared = member->shared;
	struct member *favoured = shared->favoured;
	int64_t now = clock_now();

	if (favoured == member)
		return true;
	if (favoured != NULL && flow_length(shared->table, *member_in(favoured)) > 0) {
		if (favoured->reading && now - shared->favoured_since >= SHARED_STARVED)
			member_give_up(favoured);
		return false;
	}
	shared->favoured = member;
	shared->favoured_since = now;
	return true;
}

/* Room for at least one byte, if that may be; for want of memory less than wanted. */
static bool
member_squeeze(struct member *member, size_t want)
{
	struct shared *shared = member->shared;
	struct budget_payer payer = member_payer(member);

	if (flow_spare(shared->table, *member_in(member)) > 0)
		return true;
	if (*member_in(member) == 0)
		*member_in(member) = buffers_claim_lean(shared->table, payer);
	else if (member_is_favoured(member))
		payer.anyway = true;
	if (!payer.anyway)
		return flow_spare(shared->table, *member_in(member)) > 0;
	return flow_room(shared->table, payer, member_in(member), want) != NULL;
}

/* How many bytes the message is known to lack. */
static size_t
member_missing(const struct member *member)
{
	size_t length = flow_length(member->shared->table, *member_in(member));

	return member->progress.expected > length ? member->progress.expected - length : 0;
}

/* Sees to room for what comes.  A message of known length gets it as it comes, not before. */
static bool
member_make_room(struct member *member)
{
	struct table *table = member->shared->table;
	size_t length = flow_length(table, *member_in(member)), want = MEMBER_ROOM, missing = member_missing(member);

	if (missing > want)
		want = missing < length ? missing : length > want ? length : want;
	return member_room(member, member_in(member), want) != NULL || member_squeeze(member, want);
}

/* For a packet, which is taken whole. */
static bool
member_make_room_for(struct member *member, size_t length)
{
	struct budget_payer payer = member_payer(member);

	if (member_room(member, member_in(member), length) != NULL)
		return true;
	payer.anyway = member_is_favoured(member);
	return payer.anyway && flow_room(member->shared->table, payer, member_in(member), length) != NULL;
}

/* The next packet is too long for a message.  A client's is left where it is until its replies have come. */
static void
member_refuse_packet(struct member *member, int fd)
{
	if (member->session == NULL) {
		member->shared->record->lost++;
		recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
	} else if (member->in_flight > 0) {
		member->stuck = true;
		member_update_reading(member);
	} else {
		member_reject(member, FRAMING_TOO_LONG);
	}
}

static void member_on_memory(void *arg);

/* No buffer is free for what it says: it is not read until there is one. */
static void
member_starve(struct member *member)
{
	struct budget_payer payer = member_payer(member);

	payer.moves_on = true; /* it is resumed at each look: favour may be what it waits for */
	if (member->wait == NULL)
		member->wait = budget_wait_start(member->shared->table->budget, payer, member_on_memory, member);
	member_update_reading(member);
}

/* Makes room for the packet that is next: bytes of it, 0 at the end of the file, or -errno. */
static ssize_t
member_expect_packet(struct member *member, int fd)
{
	ssize_t n = recv(fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);

	if (n < 0)
		return -errno;
	if ((size_t)n > member->shared->settings->max_message) {
		member_refuse_packet(member, fd);
		return -EAGAIN;
	}
	if (n == 0) { /* an empty packet, or the end */
		recv(fd, NULL, 0, MSG_DONTWAIT);
		return member->session != NULL && hangup_is_silence(fd) ? 0 : -EAGAIN;
	}
	return member_make_room_for(member, (size_t)n) ? n : -ENOMEM;
}

static ssize_t
member_receive(struct member *member, int fd)
{
	ssize_t n = MEMBER_READ;

	if (member_is_of_packets(member))
		n = member_expect_packet(member, fd);
	else if (!member_make_room(member))
		n = -ENOMEM;
	else if (member_missing(member) > MEMBER_READ)
		n = (ssize_t)member_missing(member);
	if (n <= 0)
		return n;
	return call_receive(member->shared->table, *member_in(member), fd, (size_t)n);
}

/* Nothing more is read; whether it still hears is seen now, or once in a while. */
static void
member_note_end(struct member *member, int fd)
{
	member->ended = true;
	member->gone = hangup_has_come(fd);
}

static void
member_read(struct member *member, int fd)
{
	ssize_t n = member_receive(member, fd);

	if (n < 0 && n != -EAGAIN && n != -ENOMEM) /* B3: the error is told once, before what was said */
		n = member_receive(member, fd);
	if (n == -ENOMEM) {
		member_starve(member);
		n = -EAGAIN;
	}
	if (n > 0)
		member_record(member)->active = clock_tick();
	if (n <= 0 && n != -EAGAIN && member->session != NULL)
		member_note_end(member, fd);
	if (n != -EAGAIN || member_is_last(member))
		member_ask(member);
}

static void
member_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct member *member = arg;
	struct table_header *header = member->shared->table->header;

	(void)what;
	if (!member->reading) {
		member->watched = false;
		event_del(&member->read);
		return;
	}
	header->handling = member->index;
	member_read(member, (int)fd);
	header->handling = 0;
}

/* There may be memory again; what is read finds its place at once, before another has it. */
static void
member_on_memory(void *arg)
{
	struct member *member = arg;

	member->wait = NULL;
	member_update_reading(member);
	if (member->reading)
		member_on_readable(event_get_fd(&member->read), EV_READ, member);
}

static void
member_enroll(struct shared *shared, struct member *member)
{
	size_t slots = shared->member_slots;

	if (member->index >= slots) {
		shared->member_slots = member->index + 64;
		shared->members = mem_resize(shared->members, shared->member_slots, sizeof *shared->members);
		for (; slots < shared->member_slots; slots++)
			shared->members[slots] = NULL;
	}
	shared->members[member->index] = member;
}

/* A packet goes whole or not at all: as long a one as the settings allow, if the kernel does. */
static void
member_size_packets(const struct member *member, int fd)
{
	int size = (int)member->shared->settings->max_message;

	if (member->shared->settings->type == LISTENER_SEQPACKET &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == -1)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

struct member *
member_begin(struct shared *shared, struct session *session, uint32_t index, int fd)
{
	struct member *member = stock_take(&shared->stock);

	member->shared = shared;
	member->session = session;
	member->index = index;
	member->window = SHARED_WINDOW_FIRST;
	event_assign(&member->read, shared->loop, fd, EV_READ | EV_PERSIST, member_on_readable, member);
	event_assign(&member->write, shared->loop, fd, EV_WRITE | EV_PERSIST, member_on_writable, member);
	member_enroll(shared, member);
	member_size_packets(member, fd);
	member_update_reading(member);
	return member;
}

struct member *
member_new(struct shared *shared, struct session *session)
{
	return member_begin(shared, session, session->index, session_record(session)->fd);
}

void
member_free(struct member *member)
{
	struct shared *shared;

	if (member == NULL)
		return;
	shared = member->shared;
	member_owe(member, -(int)member->in_flight);
	member_wait_no_more(member);
	member_clean(member);
	member_update_writing(member, false);
	budget_wait_cancel(member->wait);
	if (shared->favoured == member)
		shared->favoured = NULL;
	loop_event_stop(&member->read);
	loop_event_stop(&member->write);
	shared->members[member->index] = NULL;
	stock_give(&shared->stock, member);
	if (shared->choked == member) {
		shared_note_choked(shared);
		shared_give_soon(shared); /* and goes on reading */
	}
}

bool
member_is_asking(const struct member *member)
{
	return member->in_flight > 0 || member->waiting || member->stuck;
}

bool
member_is_gone(const struct member *member)
{
	return !member_is_asking(member) && hangup_is_final(member_record(member)->fd);
}
