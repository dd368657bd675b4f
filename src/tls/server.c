#include "tls/server.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "tls/context.h"
#include "tls/listen.h"
#include "tls/opening.h"
#include "tls/tunnel.h"

#define SERVER_ACCEPTS 64 /* in a turn of the loop */
#define SERVER_PAUSE (CLOCK_SECOND / 10)

struct session {
	LIST_ENTRY(session) entry;
	struct server *server;   /* borrowed */
	struct opening *opening; /* owned; NULL: it is over */
	struct tunnel *tunnel;   /* owned; NULL: not yet */
	char *service, *address; /* owned; for the log; NULL: not yet */
};

struct server {
	struct event_base *loop; /* borrowed */
	const struct server_options *options; /* borrowed */
	struct contexts *contexts; /* owned */
	struct turns turns;      /* of all openings */
	struct listen_place place;
	struct event accept_event, ready_event;
	struct loop_timer pause_timer, stop_timer, tick_timer;
	LIST_HEAD(, session) sessions; /* owned */
	unsigned count;
	int ready;               /* owned: what a new instance tells by; -1 none */
	bool stopping;           /* ends with the last session */
	bool told;               /* to stop, by a signal */
};

static void
session_free(struct session *session)
{
	struct server *server = session->server;

	LIST_REMOVE(session, entry);
	server->count--;
	opening_cancel(session->opening);
	tunnel_cancel(session->tunnel);
	mem_free(session->service);
	mem_free(session->address);
	mem_free(session);
	if (server->stopping && server->count == 0)
		event_base_loopbreak(server->loop);
}

static void
session_on_tunnel(void *arg, enum tunnel_end end, const char *text)
{
	struct session *session = arg;
	const char *service = session->service[0] != '\0' ? session->service : NULL;

	session->tunnel = NULL;
	if (end == TUNNEL_TRUNCATED || end == TUNNEL_BROKEN)
		log_warning(service, "%s: %s; the session has ended", session->address, text);
	else
		log_debug(service, "%s: the session has ended", session->address);
	session_free(session);
}

static void
session_on_opening(void *arg, const struct opening_result *result)
{
	struct session *session = arg;
	const char *service = result->service[0] != '\0' ? result->service : NULL;

	session->opening = NULL;
	if (result->sides == NULL) {
		if (result->failure != NULL)
			log_info(service, "%s: %s: %s", result->address, result->failure->kind,
			    result->failure->text);
		session_free(session);
		return;
	}
	log_debug(service, "%s: TLS is up", result->address);
	session->service = mem_copy_text(result->service);
	session->address = mem_copy_text(result->address);
	session->tunnel = tunnel_start(session->server->loop, result->sides, session_on_tunnel, session);
}

static void
server_take(struct server *server, int fd)
{
	static const struct failure full = { .kind = "limit",
		.text = "there are as many sessions as --max-sessions allows; raise it" };
	struct session *session;

	if (server->count >= server->options->max_sessions) {
		log_warning(NULL, "%u sessions are the most (--max-sessions); a client is refused", server->count);
		opening_refuse(fd, &full);
		return;
	}
	session = mem_new(1, sizeof *session);
	session->server = server;
	LIST_INSERT_HEAD(&server->sessions, session, entry);
	server->count++;
	session->opening = opening_start(server->loop, server->contexts, &server->turns, fd,
	    session_on_opening, session);
}

static void
server_on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct server *server = arg;
	int fd = -1;

	(void)what;
	for (unsigned i = 0; i < SERVER_ACCEPTS; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1)
			break;
		server_take(server, fd);
	}
	if (fd != -1 || errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	log_warning(NULL, "accept: %s; tried again in 0.1 s", strerror(errno));
	event_del(&server->accept_event);
	loop_timer_at(&server->pause_timer, clock_after(clock_now(), SERVER_PAUSE));
}

/* Tries again if the kernel has no memory for that now: one that hears of nobody would be of no use. */
static void
server_wait(void *arg)
{
	struct server *server = arg;

	if ((server->place.fd != -1 && event_add(&server->accept_event, NULL) == -1) ||
	    (server->ready != -1 && event_add(&server->ready_event, NULL) == -1))
		loop_timer_at(&server->pause_timer, clock_after(clock_now(), SERVER_PAUSE));
}

static void
server_end(void *arg)
{
	struct server *server = arg;

	log_notice(NULL, "%u sessions are ended", server->count);
	event_base_loopbreak(server->loop);
}

/* Listens no more; who has connected to a socket that nobody else has is taken first. */
static void
server_leave(struct server *server, bool taken)
{
	int fd;

	loop_event_stop(&server->accept_event);
	loop_timer_stop(&server->pause_timer);
	while (taken && (fd = accept4(server->place.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
		server_take(server, fd);
	listen_close(&server->place);
	server->stopping = true;
	if (server->count == 0)
		event_base_loopbreak(server->loop);
	else
		log_notice(NULL, "no further clients are taken; %u sessions continue until they end", server->count);
}

/* Another instance may have been started with our path. */
static void
server_tick(void *arg)
{
	struct server *server = arg;
	int64_t now = clock_now();

	log_tell_suppressed(now);
	loop_timer_at(&server->tick_timer, clock_after(now, CLOCK_SECOND));
	if (server->stopping || !listen_is_taken(&server->place))
		return;
	log_notice(NULL, "%s: another instance has taken it", server->options->socket);
	server_leave(server, true);
}

void
server_stop(struct server *server)
{
	bool again = server->told;

	server->told = true;
	if (again) {
		server_end(server);
		return;
	}
	server_leave(server, false);
	if (server->options->stop_timeout != CLOCK_NEVER)
		loop_timer_at(&server->stop_timer, clock_after(clock_now(), server->options->stop_timeout));
}

/* The new instance listens, or has ended. */
static void
server_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	int error = listen_hear_ready(fd);

	(void)what;
	if (error == -EAGAIN || error == -EINTR)
		return;
	loop_event_stop(&server->ready_event);
	close(server->ready);
	server->ready = -1;
	if (error != 0) {
		log_error(NULL, "upgrade: the new program did not start; this one continues");
		return;
	}
	if (server->stopping)
		return;
	server->place.made = false;
	server_leave(server, false);
}

void
server_upgrade(struct server *server)
{
	int ready;

	if (server->stopping || server->ready != -1)
		return;
	ready = listen_hand_over(&server->place, server->options->argv);
	if (ready < 0) {
		log_error(NULL, "upgrade: %s; this program continues", strerror(-ready));
		return;
	}
	server->ready = ready;
	event_assign(&server->ready_event, server->loop, ready, EV_READ | EV_PERSIST, server_on_ready, server);
	server_wait(server);
}

struct server *
server_new(struct event_base *loop, const struct server_options *options)
{
	struct server *server;
	struct listen_place place;
	int error = listen_open(options->socket, &place);

	if (error != 0) {
		log_error(NULL, "%s: cannot listen: %s; holdfast-tls ends", options->socket, strerror(-error));
		return NULL;
	}
	server = mem_new(1, sizeof *server);
	server->loop = loop;
	server->options = options;
	server->contexts = contexts_new();
	turns_init(&server->turns, loop);
	server->place = place;
	server->ready = -1;
	LIST_INIT(&server->sessions);
	loop_timer_init(&server->pause_timer, loop, server_wait, server);
	loop_timer_init(&server->stop_timer, loop, server_end, server);
	loop_timer_init(&server->tick_timer, loop, server_tick, server);
	loop_timer_at(&server->tick_timer, 0);
	event_assign(&server->accept_event, loop, place.fd, EV_READ | EV_PERSIST, server_on_accept, server);
	server_wait(server);
	return server;
}

void
server_free(struct server *server)
{
	if (server == NULL)
		return;
	while (!LIST_EMPTY(&server->sessions))
		session_free(LIST_FIRST(&server->sessions));
	loop_event_stop(&server->accept_event);
	loop_event_stop(&server->ready_event);
	loop_timer_stop(&server->pause_timer);
	loop_timer_stop(&server->stop_timer);
	loop_timer_stop(&server->tick_timer);
	listen_close(&server->place);
	if (server->ready != -1)
		close(server->ready);
	turns_end(&server->turns);
	contexts_free(server->contexts);
	mem_free(server);
}
