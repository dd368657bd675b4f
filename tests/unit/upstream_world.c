#include "upstream_world.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

struct world w;

static void
on_event(void *arg, const struct table_service *service, const struct upstream_event *event)
{
	static const char letters[] = "TaF+-";
	size_t length = strlen(w.events);

	(void)arg;
	(void)service;
	if (length + 1 < sizeof w.events)
		w.events[length] = letters[event->kind];
	snprintf(w.error, sizeof w.error, "%s", event->error);
}

static void
on_ready(void *arg)
{
	(void)arg;
	w.ready++;
	if (w.lends && w.lent == 0)
		world_lend();
}

static void
on_lost(void *arg, uint16_t endpoint)
{
	(void)arg;
	if (endpoint != 0)
		return;
	w.drops++;
	world_close_lent();
}

static const struct upstream_callbacks callbacks = { .ready = on_ready, .lost = on_lost };
static const struct upstream_watcher watcher = { .event = on_event };

int
world_listen(uint16_t *port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(*port) };
	socklen_t length = sizeof name;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd != -1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	*port = ntohs(name.sin_port);
	return fd;
}

void
world_listen_twice(int ret_listeners[2], uint16_t ret_ports[2])
{
	for (int i = 0; i < 2; i++) {
		ret_ports[i] = 0;
		ret_listeners[i] = world_listen(&ret_ports[i]);
	}
}

int
world_accept(int listener)
{
	struct pollfd look = { .fd = listener, .events = POLLIN };

	assert_int_equal(poll(&look, 1, 2000), 1);
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
world_turn(void)
{
	struct timeval tv = { .tv_usec = 5000 };

	event_base_once(w.loop, -1, EV_TIMEOUT, on_tick, NULL, &tv);
	event_base_loop(w.loop, EVLOOP_ONCE);
}

struct upstream_status
world_status(void)
{
	struct upstream_status s;

	upstream_get_status(w.upstream, &s);
	return s;
}

void
world_make(uint16_t first, uint16_t second)
{
	memset(&w, 0, sizeof w);
	w.answer = "none";
	w.loop = loop_new();
	assert_int_equal(table_new(1000, &w.table), 0);
	table_derive(&w.table);
	w.table.header->next_id = 1;
	strcpy(w.table.services[SERVICE].name, "test");
	w.addresses[0] = mem_print("127.0.0.1:%u", first);
	if (second != 0)
		w.addresses[1] = mem_print("127.0.0.1:%u", second);
	w.settings.lookup.addresses = w.addresses;
	w.settings.lookup.timeout = CLOCK_SECOND;
	w.settings.dial.connect_timeout = CLOCK_SECOND;
	w.settings.on_event_timeout = 3 * CLOCK_SECOND;
	w.settings.pconn = (struct pconn_settings){ .retry = { 10 * CLOCK_SECOND, 0.3, 1, 60 * CLOCK_SECOND },
		.spread = CLOCK_SECOND, .hold_retry = CLOCK_SECOND / 4, .warm = 1 };
	log_open(LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
}

void
world_begin(void)
{
	w.upstream = upstream_new(w.loop, &w.table, SERVICE, &w.settings, &watcher, &callbacks, &w);
}

void
world_end(void)
{
	upstream_free(w.upstream);
	world_turn();
	for (uint32_t i = 1; i < w.table.header->conn_high; i++)
		assert_int_equal(table_conn_state(&w.table, i), TABLE_FREE);
	loop_free(w.loop);
	table_free(&w.table);
	mem_free(w.addresses[0]);
	mem_free(w.addresses[1]);
	mem_free(w.settings.on_event);
	mem_free(w.settings.notify);
}

uint32_t
world_take_conn(void)
{
	uint32_t conn = upstream_take(w.upstream);

	if (conn != 0)
		upstream_taken(w.upstream, conn);
	return conn;
}

int
world_take(void)
{
	uint32_t conn = world_take_conn();
	int fd = conn == 0 ? -1 : w.table.conns[conn].fd;

	if (conn != 0)
		table_conn_free(&w.table, conn);
	return fd;
}

int
world_lend(void)
{
	uint32_t conn = upstream_take(w.upstream);

	if (conn == 0)
		return -1;
	table_conn_share(&w.table, conn);
	upstream_taken(w.upstream, conn);
	w.lent = conn;
	w.lends_seen++;
	return w.table.conns[conn].fd;
}

void
world_close_lent(void)
{
	assert_true(table_conn_is_shared(&w.table, w.lent));
	table_conn_close(&w.table, w.lent);
	w.lent = 0;
}

static struct upstream *volatile dead[256]; /* so that they are not taken for leaks */
static size_t deaths;

void
world_die(void)
{
	assert_true(deaths < sizeof dead / sizeof *dead);
	dead[deaths++] = w.upstream;
	loop_free(w.loop);
	w.loop = loop_new();
	memset(w.events, 0, sizeof w.events);
}

void
world_on_answer(void *arg, const char *error)
{
	(void)arg;
	snprintf(w.answer_text, sizeof w.answer_text, "%s", error == NULL ? "connected" : error);
	w.answer = w.answer_text;
}
