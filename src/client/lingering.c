#include "client/lingering.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/peer_closed.h"
#include "client/ring.h"
#include "keep/crash.h"
#include "keep/io_journal.h"

#define LINGERING_READS 4 /* in one turn of the loop, so that others have theirs */

/* Gives what is left of the answer, then shuts down writing. */
static void
lingering_say(struct lingering *lingering)
{
	struct table *table = lingering->table;
	struct table_client *record = &table->clients[lingering->index];
	ssize_t n = 1;

	while (n > 0 && ring_length(table, record->buffer[TABLE_DOWN]) > 0)
		n = io_journal_send(table, lingering->index, TABLE_DOWN, record->fd);
	if (n < 0 && loop_is_busy((int)-n)) {
		loop_event_add(&lingering->write);
		return;
	}
	ring_drop(table, buffers_payer(table, lingering->index, TABLE_DOWN), &record->buffer[TABLE_DOWN]);
	CRASH_POINT(LINGER_SAID);
	shutdown(record->fd, SHUT_WR);
	lingering->said = true;
}

/* Reads and drops.  Beyond the limit nothing is read, which stops a client that speaks on without a broken pipe; that
 * it has gone is seen all the same: one that has only shut down its side may still read. */
static void
lingering_hear(struct lingering *lingering)
{
	static char waste[16384];
	int fd = lingering->table->clients[lingering->index].fd;
	struct event *read = &lingering->read;
	ssize_t n;

	for (int reads = 0; !lingering->silent && lingering->dropped < lingering->most; reads++) {
		n = reads == LINGERING_READS ? -1 : recv(fd, waste, sizeof waste, MSG_DONTWAIT);
		if (n == -1 && (reads == LINGERING_READS || loop_is_busy(errno)))
			return;
		if (n > 0)
			lingering->dropped += (unsigned)n;
		else
			lingering->silent = true;
	}
	if (!lingering->silent && event_get_events(read) & EV_READ) {
		event_del(read);
		event_assign(read, lingering->loop, fd, EV_CLOSED | EV_ET | EV_PERSIST, event_get_callback(read),
		    event_get_callback_arg(read));
		loop_event_add(read);
	}
	lingering->silent = lingering->silent || peer_closed_has_come(fd);
	if (lingering->silent)
		event_del(read);
}

bool
lingering_work(struct lingering *lingering)
{
	if (!lingering->said)
		lingering_say(lingering);
	lingering_hear(lingering);
	return lingering->said && lingering->silent;
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

/* It is LINGERING from now on, without a connection. */
static void
lingering_mark(struct table *table, uint32_t index, bool untold)
{
	struct table_client *record = &table->clients[index];

	if (untold) /* else a later worker has nothing to tell it either */
		record->flags |= TABLE_CLIENT_UNTOLD;
	table_client_set(table, index, TABLE_LINGERING);
	CRASH_POINT(LINGER_MARKED);
	record->conn = 0;
	if (!(record->flags & TABLE_CLIENT_UNTOLD))
		table_client_release(table, index);
}

/* What it had is let go, and its answer put into its buffer: done again as a whole after a death. */
static void
lingering_prepare(struct table *table, uint32_t index, const char *text)
{
	struct table_client *record = &table->clients[index];
	size_t length = text == NULL ? 0 : strlen(text);
	unsigned char *room;

	if (table_client_state(table, index) != TABLE_LINGERING)
		lingering_mark(table, index, length > 0);
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

void
lingering_begin(struct lingering *lingering, struct event_base *loop, struct table *table, uint32_t index,
    const char *text, unsigned most, event_callback_fn on_event, void *arg)
{
	int fd = table->clients[index].fd;

	*lingering = (struct lingering){ .loop = loop, .table = table, .index = index, .most = most };
	event_assign(&lingering->read, loop, fd, EV_READ | EV_PERSIST, on_event, arg);
	event_assign(&lingering->write, loop, fd, EV_WRITE, on_event, arg);
	loop_event_add(&lingering->read);
	lingering_prepare(table, index, text);
}

void
lingering_stop(struct lingering *lingering)
{
	loop_event_stop(&lingering->read);
	loop_event_stop(&lingering->write);
}
