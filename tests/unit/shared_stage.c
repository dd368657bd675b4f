#include "shared_stage.h"

#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "client/client.h"

#define WORLD_TURNS 6
#define WORLD_NEVER UINT32_MAX

struct world world;

/* Time goes by here when a story says so; the clock is asked in place of base/clock's (the linker's --wrap).  It is
 * an hour early: to the kernel's timer no deadline of the loop is ever due.  Another timer has the loop look then. */
static int64_t world_now;
static struct loop_timer kick;

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);

int64_t
__wrap_clock_now(void)
{
	return world_now;
}

static struct client_owner owner;
static struct client_list all, lingering;

/* The turn after which the worker dies, and how many there were. */
static unsigned death, turns;
static bool dies_always;

struct table_shared *
world_record(void)
{
	return &world.table.services[0].shared;
}

static uint32_t
take(void)
{
	const struct table *table = &world.table;

	for (uint32_t i = 1; i < table->header->conn_high && !table_is_paused(table, 0); i++)
		if (table_conn_state(table, i) == TABLE_READY && !table_conn_is_shared(table, i))
			return i;
	return 0;
}

static void
world_turn_away(struct client *client)
{
	if (client_turn_away(client, ""))
		client_close(client);
	else
		TAILQ_INSERT_TAIL(&lingering, client, entry);
}

/* As client/clients does it. */
static bool
on_event(void *arg, struct client *client, enum client_event event)
{
	(void)arg;
	if (event == CLIENT_HEARD) {
		TAILQ_REMOVE(&lingering, client, entry);
		client_close(client);
	}
	if (event != CLIENT_ENDED && (event != CLIENT_LEFT || !client_has_left(client, world.aborts)))
		return false;
	world.ended++;
	TAILQ_REMOVE(&all, client, entry);
	mux_leave(world.mux, client->mux_client);
	world_turn_away(client);
	if (world.drains && TAILQ_EMPTY(&all))
		mux_drop(world.mux);
	return false;
}

static struct client *
world_add(uint32_t index)
{
	struct client *client = client_new(&owner, index);

	TAILQ_INSERT_TAIL(&all, client, entry);
	return client;
}

static void
world_join(struct client *client)
{
	client->mux_client = mux_join(world.mux, client);
}

static void
on_kick(void *arg)
{
	(void)arg;
}

void
world_begin(void)
{
	const struct table *table = &world.table;

	world.loop = loop_new();
	loop_timer_init(&kick, world.loop, on_kick, NULL);
	client_owner_init(&owner, world.loop, &world.table);
	owner.on_event = on_event;
	owner.drops = LINGERING_MESSAGE;
	TAILQ_INIT(&all);
	TAILQ_INIT(&lingering);
	world.mux = mux_new(world.loop, &world.table, 0, &world.settings, NULL);
	mux_set(world.mux, &world.settings, world.hold_timeout, false, world.aborts, &world.resp);
	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_is_open(table, i) && table->clients[i].service == 0 &&
		    !(table->clients[i].flags & TABLE_CLIENT_DATAGRAMS))
			world_join(world_add(i));
		else if (table_client_state(table, i) == TABLE_LINGERING)
			world_turn_away(client_new(&owner, i));
	mux_begin(world.mux, world.datagrams);
}

/* The process's side goes, the table stays. */
static void
world_end(void)
{
	struct client *client;

	if (world.mux == NULL)
		return;
	while ((client = TAILQ_FIRST(&all)) != NULL) {
		TAILQ_REMOVE(&all, client, entry);
		mux_leave(world.mux, client->mux_client);
		client_free(client);
	}
	while ((client = TAILQ_FIRST(&lingering)) != NULL) {
		TAILQ_REMOVE(&lingering, client, entry);
		client_free(client);
	}
	mux_free(world.mux);
	world.mux = NULL;
	client_owner_clear(&owner);
	loop_timer_stop(&kick);
	loop_free(world.loop);
}

void
world_die(void)
{
	world_end();
	recover_run(&world.table);
	world_begin();
}

int
world_open(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
	world_now = __real_clock_now() + 3600 * CLOCK_SECOND;
	world = (struct world){ .datagrams = -1, .resp = { .database = 0, .protocol = 2 } };
	remote = (struct remote){ .table = &world.table, .take = take, .up = true };
	if (table_new(200, &world.table) < 0)
		return -1;
	world.table.shape.services = 2;
	strcpy(world.table.services[0].name, "cache");
	for (int i = 0; i < 2; i++) {
		for (unsigned k = 0; k < TABLE_LISTENERS; k++)
			world.table.services[i].sockets[k].fd = -1;
		world.table.services[i].word = TABLE_LIVE;
		world.table.services[i].shared.framing = FRAMING_LINE;
	}
	world.settings = (struct shared_settings){ .framing = FRAMING_LINE, .max_message = 4096,
		.max_in_flight = 1000, .queue_size = 8 << 20, .on_state = RESP_ON_STATE_REFUSE };
	death = WORLD_NEVER;
	dies_always = false;
	turns = 0;
	return 0;
}

/* All files that records name are closed by the sweep, once they name none. */
int
world_close(void **state)
{
	(void)state;
	world_end();
	side_clear(&world.table);
	recover_run(&world.table);
	table_free(&world.table);
	return 0;
}

/* Names a far end, so that it outlives the worker. */
static int
world_name(int fd)
{
	uint32_t index = side_session(&world.table, fd, -1);

	world.table.clients[index].service = 1;
	return fd;
}

void
world_leave(int fd)
{
	for (uint32_t i = 1; i < world.table.header->client_high; i++)
		if (table_client_is_open(&world.table, i) && world.table.clients[i].service == 1 &&
		    world.table.clients[i].fd == fd) {
			table_client_close(&world.table, i);
			return;
		}
	fail_msg("no far end has the number %d", fd);
}

int
world_come(void)
{
	int type = world.settings.type == LISTENER_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM, pair[2];
	struct client *client;

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	client = world_add(side_client(&world.table, pair[0]));
	client_share(client);
	world_join(client);
	return world_name(pair[1]);
}

int
world_prepare(void)
{
	int pair[2];

	if (world.tcp)
		side_tcp_pair(pair);
	else
		side_pair(pair);
	side_conn(&world.table, TABLE_READY, pair[0]);
	return world_name(pair[1]);
}

int
world_bring(void)
{
	int fd = world_prepare();

	mux_serve(world.mux);
	return fd;
}

int
world_near_upstream(void)
{
	return world.table.conns[world_record()->upstream].fd;
}

int
world_near_client(void)
{
	const struct table *table = &world.table;

	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_is_open(table, i) && table->clients[i].service == 0)
			return table->clients[i].fd;
	return -1;
}

void
world_settle(void)
{
	for (int i = 0; i < WORLD_TURNS; i++) {
		event_base_loop(world.loop, EVLOOP_NONBLOCK);
		if (turns++ == death || dies_always)
			world_die();
	}
}

void
world_wait(int64_t span)
{
	for (int64_t end = world_now + span; world_now < end; event_base_loop(world.loop, EVLOOP_NONBLOCK)) {
		world_now += CLOCK_MILLISECOND;
		loop_timer_at(&kick, 1);
	}
}

bool
world_run(bool (*done)(void), int64_t limit)
{
	for (int64_t end = world_now + limit; world_now < end && !done();)
		world_wait(CLOCK_MILLISECOND);
	return done();
}

bool
world_is_idle(void)
{
	world_settle();
	event_base_get_max_events(world.loop, EVENT_BASE_COUNT_ACTIVE, 1);
	event_base_loop(world.loop, EVLOOP_NONBLOCK);
	return event_base_get_max_events(world.loop, EVENT_BASE_COUNT_ACTIVE, 1) == 0;
}

void
world_expect(int fd, const char *text)
{
	world_settle();
	assert_string_equal(side_hear(fd), text);
}

void
world_say(int fd, const char *text)
{
	side_say(fd, text);
	world_settle();
}

void
world_say_long(int fd, size_t length)
{
	char *line = malloc(length);
	ssize_t n;

	memset(line, 'x', length);
	line[length - 1] = '\n';
	for (size_t said = 0; said < length; said += n > 0 ? (size_t)n : 0) {
		n = send(fd, line + said, length - said, MSG_NOSIGNAL | MSG_DONTWAIT);
		event_base_loop(world.loop, EVLOOP_NONBLOCK);
	}
	free(line);
	world_settle();
}

void
world_hear_long(int fd, size_t length)
{
	char *line = malloc(length);
	ssize_t n;

	for (size_t heard = 0; heard < length; heard += n > 0 ? (size_t)n : 0) {
		event_base_loop(world.loop, EVLOOP_NONBLOCK);
		n = recv(fd, line + heard, length - heard, MSG_DONTWAIT);
		assert_int_not_equal(n, 0);
	}
	assert_memory_equal(line + length - 2, "x\n", 2);
	assert_null(memchr(line, '\n', length - 1));
	free(line);
	world_settle();
}

static unsigned
world_tell(void (*story)(void), unsigned at, bool always)
{
	assert_int_equal(world_open(NULL), 0);
	death = at;
	dies_always = always;
	story();
	world_close(NULL);
	return turns;
}

void
world_with_deaths(void (*story)(void))
{
	unsigned last;

	world_close(NULL);
	last = world_tell(story, WORLD_NEVER, false);
	for (unsigned at = 0; at < last; at++)
		world_tell(story, at, false);
	world_tell(story, WORLD_NEVER, true);
	world_open(NULL);
}

unsigned
world_count_buffers(void)
{
	const struct table *table = &world.table;
	unsigned count = world_record()->out != 0;

	for (uint32_t i = 1; i < table->header->client_high; i++)
		if (table_client_state(table, i) != TABLE_FREE)
			for (int d = 0; d < 2; d++)
				count += table->clients[i].buffer[d] != 0;
	return count;
}
