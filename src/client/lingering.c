#include "client/lingering.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/peer_closed.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/slab.h"
#include "keep/io_journal.h"
#include "client/ring.h"
#include "keep/buffers.h"
#include "keep/crash.h"
#include "keep/table.h"

#define LINGERING_TIME  CLOCK_SECOND
#define LINGERING_READS 4 /* in one turn of the loop, so that others have theirs */
#define LINGERING_SLAB  32

struct lingering_client {
	TAILQ_ENTRY(lingering_client) entry;
	struct lingering *lingering; /* borrowed */
	uint32_t index;      /* its record */
	unsigned dropped;      /* bytes */
	bool said, silent;     /* all that is to be said; it, for good */
	int64_t deadline;
	struct event read, write; /* the first of its end alone, once it is not read any more */
};

struct lingering {
	struct event_base *loop; /* borrowed */
	struct table *table;     /* borrowed */
	unsigned most;           /* bytes that are dropped */
	TAILQ_HEAD(, lingering_client) clients; /* owned: the oldest first, whose time is over first */
	unsigned count;
	struct slab slab;
	struct loop_timer timer;
	void (*ended)(void *arg);
	void *arg;               /* borrowed */
};

static struct table_client *
lingering_record(const struct lingering_client *client)
{
	return &client->lingering->table->clients[client->index];
}

static void
lingering_remove(struct lingering_client *client)
{
	struct lingering *lingering = client->lingering;

	loop_event_stop(&client->read);
	loop_event_stop(&client->write);
	TAILQ_REMOVE(&lingering->clients, client, entry);
	lingering->count--;
	lingering->table->lingering--;
	slab_give(&lingering->slab, client);
}

static void
lingering_close_client(struct lingering_client *client)
{
	struct table *table = client->lingering->table;
	uint32_t index = client->index;

	lingering_remove(client);
	table_client_close(table, index);
}

/* Those whose time is over by then. */
static void
lingering_close_until(struct lingering *lingering, int64_t now)
{
	struct lingering_client *client;

	while ((client = TAILQ_FIRST(&lingering->clients)) != NULL && client->deadline <= now)
		lingering_close_client(client);
	loop_timer_at(&lingering->timer, client == NULL ? CLOCK_NEVER : client->deadline);
}

static void
lingering_end(struct lingering_client *client)
{
	struct lingering *lingering = client->lingering;

	lingering_close_client(client);
	lingering->ended(lingering->arg);
}

void
lingering_look(struct lingering *lingering, int64_t now)
{
	unsigned before = lingering->count;

	lingering_close_until(lingering, now);
	if (lingering->count < before)
		lingering->ended(lingering->arg);
}

static void
lingering_on_timer(void *arg)
{
	lingering_look(arg, clock_now());
}

/* Gives what is left of the answer, then shuts down writing.  Whether all is said that can be. */
static bool
lingering_say(struct lingering_client *client)
{
	struct table *table = client->lingering->table;
	struct table_client *record = lingering_record(client);
	ssize_t n = 1;

	while (n > 0 && ring_length(table, record->buffer[TABLE_DOWN]) > 0)
		n = io_journal_send(table, client->index, TABLE_DOWN, record->fd);
	if (n == -EAGAIN) {
		event_add(&client->write, NULL);
		return false;
	}
	ring_drop(table, buffers_payer(table, client->index, TABLE_DOWN), &record->buffer[TABLE_DOWN]);
	CRASH_POINT(LINGER_SAID);
	shutdown(record->fd, SHUT_WR);
	return true;
}

/* A client that has only shut down its side may still read. */
static void
lingering_on_closed(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	if (peer_closed_has_come((int)fd))
		lingering_end(arg);
}

/* Reads and drops.  Beyond the limit nothing is read, which stops a client that speaks on without a broken pipe; that
 * it ends is seen all the same. */
static void
lingering_hear(struct lingering_client *client)
{
	static char waste[16384];
	int fd = lingering_record(client)->fd;
	ssize_t n;

	for (int reads = 0; !client->silent && client->dropped < client->lingering->most; reads++) {
		if (reads == LINGERING_READS)
			return;
		n = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
		if (n == -1 && errno == EAGAIN)
			return;
		if (n > 0)
			client->dropped += (unsigned)n;
		else
			client->silent = true;
	}
	event_del(&client->read);
	if (client->silent)
		return;
	event_assign(&client->read, client->lingering->loop, fd, EV_CLOSED | EV_ET | EV_PERSIST, lingering_on_closed,
	    client);
	event_add(&client->read, NULL);
}

/* Whether nothing is left to be said or heard. */
static bool
lingering_go_on(struct lingering_client *client)
{
	if (!client->said)
		client->said = lingering_say(client);
	lingering_hear(client);
	return client->said && client->silent;
}

static void
lingering_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct lingering_client *client = arg;
	struct table_header *header = client->lingering->table->header;

	(void)fd;
	(void)what;
	header->handling = client->index;
	if (lingering_go_on(client))
		lingering_end(client);
	header->handling = 0;
}

struct lingering *
lingering_new(struct event_base *loop, struct table *table, unsigned most, void (*ended)(void *arg), void *arg)
{
	struct lingering *lingering = mem_new(1, sizeof *lingering);

	lingering->loop = loop;
	lingering->table = table;
	lingering->most = most;
	TAILQ_INIT(&lingering->clients);
	lingering->slab = (struct slab){ .size = sizeof(struct lingering_client), .number = LINGERING_SLAB };
	loop_timer_init(&lingering->timer, loop, lingering_on_timer, lingering);
	lingering->ended = ended;
	lingering->arg = arg;
	return lingering;
}

void
lingering_free(struct lingering *lingering)
{
	if (lingering == NULL)
		return;
	loop_timer_stop(&lingering->timer);
	while (!TAILQ_EMPTY(&lingering->clients))
		lingering_remove(TAILQ_FIRST(&lingering->clients));
	slab_clear(&lingering->slab);
	mem_free(lingering);
}

/* Room for the answer; where max_memory permits no other, in a lean buffer.  NULL: it is too long for that. */
static unsigned char *
lingering_room(struct table *table, uint32_t index, size_t length)
{
	volatile uint32_t *name = &table->clients[index].buffer[TABLE_DOWN];
	struct budget_payer payer = buffers_payer(table, index, TABLE_DOWN);
	unsigned char *room = ring_room(table, payer, name, length);

	if (room == NULL && length <= table_class_size(TABLE_LEAN)) {
		*name = buffers_claim_lean(table, payer);
		room = *name == 0 ? NULL : buffers_bytes(table, *name);
	}
	return room;
}

/* What it had is let go, and its answer put into its buffer: done again as a whole after a death. */
static void
lingering_prepare(struct table *table, uint32_t index, const char *text)
{
	struct table_client *record = &table->clients[index];
	size_t length = text == NULL ? 0 : strlen(text);
	unsigned char *room;

	if (!(record->flags & TABLE_CLIENT_UNTOLD))
		return;
	table_client_release(table, index);
	room = length == 0 ? NULL : lingering_room(table, index, length);
	if (room != NULL) {
		memcpy(room, text, length);
		table->buffers[record->buffer[TABLE_DOWN]].tail += (uint32_t)length;
	}
	CRASH_POINT(LINGER_PREPARED);
	table_barrier();
	record->flags = 0;
}

static struct lingering_client *
lingering_add(struct lingering *lingering, uint32_t index)
{
	struct lingering_client *client;
	int fd = lingering->table->clients[index].fd;

	if (lingering->table->lingering >= LINGERING_MOST && lingering->count > 0)
		lingering_close_client(TAILQ_FIRST(&lingering->clients));
	client = slab_take(&lingering->slab);
	client->lingering = lingering;
	client->index = index;
	client->deadline = clock_after(clock_now(), LINGERING_TIME);
	event_assign(&client->read, lingering->loop, fd, EV_READ | EV_PERSIST, lingering_on_ready, client);
	event_assign(&client->write, lingering->loop, fd, EV_WRITE, lingering_on_ready, client);
	TAILQ_INSERT_TAIL(&lingering->clients, client, entry);
	lingering->count++;
	lingering->table->lingering++;
	event_add(&client->read, NULL);
	return client;
}

void
lingering_resume(struct lingering *lingering, uint32_t index, const char *text)
{
	struct lingering_client *client;

	lingering_prepare(lingering->table, index, text);
	client = lingering_add(lingering, index);
	if (lingering_go_on(client))
		lingering_close_client(client);
	else if (!loop_timer_is_set(&lingering->timer))
		loop_timer_at(&lingering->timer, client->deadline);
}

void
lingering_begin(struct lingering *lingering, uint32_t index, const char *text)
{
	struct table_client *record = &lingering->table->clients[index];

	if (text != NULL && text[0] != '\0') /* else a later worker has nothing to tell it either */
		record->flags |= TABLE_CLIENT_UNTOLD;
	table_client_set(lingering->table, index, TABLE_LINGERING);
	CRASH_POINT(LINGER_MARKED);
	record->conn = 0;
	if (!(record->flags & TABLE_CLIENT_UNTOLD))
		table_client_release(lingering->table, index);
	lingering_resume(lingering, index, text);
}

void
lingering_close(struct lingering *lingering)
{
	lingering_close_until(lingering, CLOCK_NEVER);
}

unsigned
lingering_count(const struct lingering *lingering)
{
	return lingering->count;
}
