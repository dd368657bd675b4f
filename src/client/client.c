#include "client/client.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/peer_closed.h"
#include "base/loop.h"
#include "client/lingering.h"
#include "keep/budget.h"
#include "keep/crash.h"
#include "keep/pipes.h"
#include "keep/recover.h"

/* A connection that lasted so long was one, though no byte passed: who had it has waited no longer. */
#define CLIENT_SERVED CLOCK_SECOND
/* The least that the kernel takes in from an upstream, before it is doubled. */
#define CLIENT_RECEIVE (64u << 10)
/* Clients whose memory lies together. */
#define CLIENT_SLAB   32

void
client_slab_init(struct client_slab *slab)
{
	slab->clients = (struct slab){ .size = sizeof(struct client), .number = CLIENT_SLAB };
	slab->relays = (struct slab){ .size = sizeof(struct relay), .number = CLIENT_SLAB };
}

void
client_slab_clear(struct client_slab *slab)
{
	slab_clear(&slab->clients);
	slab_clear(&slab->relays);
}

struct table_client *
client_record(const struct client *client)
{
	return &client->table->clients[client->index];
}

bool
client_is_held(const struct client *client)
{
	return table_client_is_held(client->table, client->index);
}

static void
client_on_attached(void *arg)
{
	struct client *client = arg;

	client->callbacks->attached(client->arg, client);
}

static bool
client_on_upstream_ended(void *arg)
{
	struct client *client = arg;

	return client->callbacks->upstream_ended(client->arg, client);
}

void
client_is_over(struct client *client, enum closing_cause cause)
{
	if (client->cause == CLOSING_UNKNOWN)
		client->cause = cause;
	client->callbacks->ended(client->arg, client);
}

static void
client_on_ended(void *arg)
{
	struct client *client = arg;

	client_is_over(client, client->relay->first);
}

void
client_get_closing(const struct client *client, struct closing_state *ret_state)
{
	bool held = client_is_held(client);

	*ret_state = (struct closing_state){ .held = held && client->waits, .open = !held,
		.attached = client_was_attached(client), .asking = client->asked };
}

static const struct relay_callbacks client_relay_callbacks = {
	.attached = client_on_attached,
	.upstream_ended = client_on_upstream_ended,
	.ended = client_on_ended,
};

bool
client_has_words(const struct client *client)
{
	uint32_t buffer = client_record(client)->buffer[TABLE_UP];
	uint16_t pipe = client_record(client)->pipe[TABLE_UP];

	return (buffer != 0 && client->table->buffers[buffer].head != client->table->buffers[buffer].tail) ||
	    (pipe != 0 && pipes_level(client->table, pipe) > 0);
}

bool
client_has_left(const struct client *client)
{
	return !client_has_words(client) && peer_closed_is_final(client_record(client)->fd);
}

bool
client_is_gone(const struct client *client)
{
	return peer_closed_has_come(client_record(client)->fd);
}

int64_t
client_gone_for(struct client *client, int64_t now)
{
	if (!client_is_gone(client))
		return 0;
	if (client->gone == 0)
		client->gone = now;
	return now - client->gone;
}

/* A held client has shut down its side or gone.  One that has only shut down is held on; the event is edge-triggered,
 * so that it does not come again and again.  That it can be read is asked for too since libevent tells of an error
 * (the client has gone with bytes that it did not read) by that alone. */
static void
client_on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;
	struct table *table = client->table;

	(void)fd;
	(void)what;
	table->header->handling = client->index;
	client->callbacks->left(client->arg, client);
	table->header->handling = 0;
}

struct client *
client_new(struct client_slab *slab, struct event_base *loop, struct table *table, uint32_t index,
    const struct client_callbacks *callbacks, void *arg)
{
	struct client *client = slab_take(&slab->clients);

	client->slab = slab;
	client->loop = loop;
	client->table = table;
	client->index = index;
	client->callbacks = callbacks;
	client->arg = arg;
	client->uid = (uid_t)-1;
	event_assign(&client->watch, loop, client_record(client)->fd,
	    EV_CLOSED | EV_READ | EV_ET | EV_PERSIST, client_on_watch, client);
	return client;
}

bool
client_is_unused(const struct client *client)
{
	const struct table_client *record = client_record(client);

	return record->bytes[TABLE_UP] + record->bytes[TABLE_DOWN] == client->before;
}

bool
client_was_attached(const struct client *client)
{
	const struct table_client *record = client_record(client);

	return record->bytes[TABLE_UP] > 0 || record->bytes[TABLE_DOWN] > 0;
}

static void
client_free_relay(struct client *client)
{
	slab_give(&client->slab->relays, client->relay);
	client->relay = NULL;
}

static void
client_start_relay(struct client *client)
{
	client->relay = slab_take(&client->slab->relays);
	relay_init(client->relay, client->loop, client->table, client->index, &client_relay_callbacks, client);
	client->relay->attached = !client_is_unused(client);
	relay_start(client->relay);
}

static int
client_bound(int fd, int level, int option, uint32_t value)
{
	int number = (int)value;

	return setsockopt(fd, level, option, &number, sizeof number);
}

/* Where memory is scarce the kernel keeps less for a connection than it would.  Of what goes to the upstream it is
 * told what may wait to be sent, for a small buffer would also bound what is on its way; of what comes from there not
 * to grow beyond what TCP begins with, for less than a segment of the loopback interface would stall.  It doubles the
 * sizes of buffers, for its own needs (socket(7)). */
static void
client_bound_sockets(const struct client *client, int upstream_fd)
{
	uint32_t share = budget_socket_share(client->table->budget, client->table->clients_used);

	if (share == 0)
		return;
	client_bound(client_record(client)->fd, SOL_SOCKET, SO_SNDBUF, share / 4);
	if (client_bound(upstream_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, share / 4) == -1)
		client_bound(upstream_fd, SOL_SOCKET, SO_SNDBUF, share / 4);
	client_bound(upstream_fd, SOL_SOCKET, SO_RCVBUF, share / 4 > CLIENT_RECEIVE ? share / 4 : CLIENT_RECEIVE);
}

static void
client_start_watch(struct client *client)
{
	if (client->watched)
		return;
	client->watched = true;
	event_add(&client->watch, NULL);
}

void
client_begin(struct client *client)
{
	if (client_is_held(client))
		client_start_watch(client);
	else
		client_start_relay(client);
}

void
client_share(struct client *client)
{
	client_record(client)->active = clock_tick();
	table_client_take(client->table, client->index, TABLE_CONN_SHARED);
	CRASH_POINT(OPEN_COMMITTED);
}

void
client_open(struct client *client, uint32_t conn)
{
	struct table_client *record = client_record(client);

	loop_event_stop(&client->watch);
	client->watched = false;
	client->opened = clock_now();
	client->before = record->bytes[TABLE_UP] + record->bytes[TABLE_DOWN];
	record->active = clock_tick();
	CRASH_POINT(OPEN_BEFORE);
	table_client_take(client->table, client->index, conn);
	CRASH_POINT(OPEN_COMMITTED);
	client_bound_sockets(client, client->table->conns[conn].fd);
	client_start_relay(client);
	relay_hear_client(client->relay);
}

void
client_return(struct client *client, uint64_t *ret_lost)
{
	struct table_client *record = client_record(client);
	uint32_t conn = record->conn;
	int unacknowledged = 0;

	relay_stop(client->relay);
	*ret_lost = 0;
	if (ioctl(client->table->conns[conn].fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0)
		*ret_lost = (uint64_t)unacknowledged;
	if (!client_was_attached(client) && clock_now() - client->opened >= CLIENT_SERVED)
		record->since = clock_now(); /* its time as a held one begins anew */
	record->active = clock_tick();
	client->returned = clock_now();
	relay_buffer_drop(&client->relay->way[TABLE_DOWN].relay_buffer);
	client_free_relay(client);
	client->waits = true;
	table_conn_set(client->table, conn, TABLE_CLOSING);
	CRASH_POINT(RETURN_HELD);
	recover_end_own(client->table, client->index);
	CRASH_POINT(RETURN_CLOSED);
	client_start_watch(client);
}

bool
client_can_return(const struct client *client)
{
	const struct relay *relay = client->relay;

	return relay != NULL && !relay->way[TABLE_UP].ended && !relay->way[TABLE_DOWN].broken;
}

static void
client_stop(struct client *client)
{
	if (client->relay != NULL)
		relay_stop(client->relay);
	client_free_relay(client);
	loop_event_stop(&client->watch);
}

void
client_close(struct client *client)
{
	if (client == NULL)
		return;
	client_stop(client);
	recover_close_client(client->table, client->index);
	slab_give(&client->slab->clients, client);
}

void
client_refuse(struct client *client, struct lingering *lingering, const char *text)
{
	uint32_t index = client->index;

	client_stop(client);
	slab_give(&client->slab->clients, client);
	lingering_begin(lingering, index, text);
}

void
client_free(struct client *client)
{
	if (client == NULL)
		return;
	client_stop(client);
	slab_give(&client->slab->clients, client);
}

bool
client_look(struct client *client)
{
	return relay_look(client->relay);
}

bool
client_is_client_gone(const struct client *client)
{
	return client->mux_client == NULL && relay_is_client_gone(client->relay);
}
