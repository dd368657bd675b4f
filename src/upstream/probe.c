#include "upstream/probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "upstream/said.h"

#define PROBE_LINGER (100 * CLOCK_MILLISECOND) /* for the server to close its own connection first */

struct probe {
	struct event_base *loop;     /* borrowed */
	enum probe_kind kind;
	int64_t timeout, deadline;
	probe_callback *callback;
	void *arg;                   /* borrowed */
	struct dial *dial;           /* owned; NULL none */
	struct event connecting;     /* its watch */
	struct event event;
	struct loop_timer timer;     /* the deadline; or what is to be reported is */
	int fd;
	bool aside;                  /* fd is owned */
	bool ending;                 /* error is settled, the connection's own end is waited for */
	char request[PROBE_TEXT_SIZE]; /* written at the start: a reload frees the settings meanwhile */
	size_t request_length;
	char error[PROBE_WHY_SIZE + 16]; /* "": ready */
};

void
probe_cancel(struct probe *probe)
{
	if (probe == NULL)
		return;
	dial_cancel(probe->dial);
	loop_event_stop(&probe->event);
	loop_timer_stop(&probe->timer);
	if (probe->aside && probe->fd >= 0)
		close(probe->fd);
	mem_free(probe);
}

static void
probe_finish(struct probe *probe)
{
	probe_callback *callback = probe->callback;
	char error[sizeof probe->error];
	void *arg = probe->arg;

	memcpy(error, probe->error, sizeof error);
	probe_cancel(probe);
	callback(arg, error[0] == '\0' ? NULL : error);
}

static void
probe_fail(struct probe *probe, const char *why)
{
	snprintf(probe->error, sizeof probe->error, "probe: %s", why);
}

/* Reads what the server still says, until it has closed: closing over unread bytes would be a reset. */
static void
probe_drain(struct probe *probe)
{
	char bytes[4096];
	ssize_t n;

	for (int i = 0; i < 16; i++) {
		n = recv(probe->fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 1)
			break;
	}
	probe_finish(probe);
}

/* The answer is known. */
static void
probe_settle(struct probe *probe, const unsigned char *answer, size_t length)
{
	char text[PROBE_TEXT_SIZE];
	size_t farewell = probe_farewell(probe->kind, answer, length, text);

	if (!probe->aside) {
		probe_finish(probe);
		return;
	}
	probe->ending = true;
	if (farewell > 0)
		send(probe->fd, text, farewell, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(probe->fd, SHUT_WR);
	probe->deadline = clock_now() + PROBE_LINGER;
	loop_timer_at(&probe->timer, probe->deadline);
	probe_drain(probe);
}

static void
probe_ended(struct probe *probe, const unsigned char *answer, size_t length, int error)
{
	char said[SAID_SIZE], why[PROBE_WHY_SIZE];

	said_escape(answer, length, said);
	if (error != 0)
		probe_fail(probe, strerror(error));
	else if (length == 0)
		probe_fail(probe, "the server closed the connection");
	else {
		snprintf(why, sizeof why, "the server closed the connection after \"%s\"", said);
		probe_fail(probe, why);
	}
	probe_finish(probe);
}

/* The bytes are looked at, and only those of the probe are taken.  That the connection is at its end is asked for
 * first: bytes that came before it are there then. */
static void
probe_hear(struct probe *probe)
{
	struct pollfd look = { .fd = probe->fd, .events = POLLRDHUP };
	bool ended = poll(&look, 1, 0) == 1;
	unsigned char answer[PROBE_ANSWER_MAX];
	ssize_t n = recv(probe->fd, answer, sizeof answer, MSG_PEEK | MSG_DONTWAIT);
	char why[PROBE_WHY_SIZE];
	size_t taken = 0;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 1) {
		probe_ended(probe, answer, 0, n == 0 ? 0 : errno);
		return;
	}
	switch (probe_judge(probe->kind, answer, (size_t)n, &taken, why)) {
	case PROBE_MORE:
		if (ended)
			probe_ended(probe, answer, (size_t)n, 0);
		return;
	case PROBE_NOT_READY:
		probe_fail(probe, why);
		break;
	case PROBE_READY:
		if (taken > 0 && recv(probe->fd, answer, taken, MSG_DONTWAIT) != (ssize_t)taken)
			probe_fail(probe, "bytes that were there are gone");
		break;
	}
	probe_settle(probe, answer, (size_t)n);
}

static void
probe_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	(void)fd;
	(void)what;
	if (probe->ending)
		probe_drain(probe);
	else
		probe_hear(probe);
}

/* The event is edge-triggered: bytes that are looked at and left must not come on and on. */
static void
probe_ask(struct probe *probe)
{
	size_t length = probe->request_length;

	event_assign(&probe->event, probe->loop, probe->fd, EV_READ | EV_ET | EV_PERSIST, probe_on_readable, probe);
	event_add(&probe->event, NULL);
	probe->deadline = clock_after(clock_now(), probe->timeout);
	loop_timer_at(&probe->timer, probe->deadline);
	if (length > 0 && send(probe->fd, probe->request, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length) {
		probe_fail(probe, "the server does not take it");
		loop_timer_soon(&probe->timer);
	}
}

static void
probe_on_dialled(void *arg, int error)
{
	struct probe *probe = arg;

	probe->dial = NULL;
	loop_event_stop(&probe->connecting);
	if (error == 0) {
		probe_ask(probe);
		return;
	}
	snprintf(probe->error, sizeof probe->error, "%s", strerror(error));
	probe_finish(probe);
}

static void
probe_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;
	char why[60];

	(void)fd;
	(void)what;
	if (probe->error[0] == '\0' && !probe->ending) {
		snprintf(why, sizeof why, "no answer within %.1f s", (double)probe->timeout / CLOCK_SECOND);
		probe_fail(probe, why);
	}
	probe_finish(probe);
}

struct probe *
probe_start(struct event_base *loop, int fd, const struct address *address, const struct dial_settings *settings,
    probe_callback *callback, void *arg)
{
	struct probe *probe = mem_new(1, sizeof *probe);
	char text[ADDRESS_TEXT_SIZE];

	probe->loop = loop;
	probe->kind = settings->probe.kind;
	probe->timeout = settings->connect_timeout;
	probe->callback = callback;
	probe->arg = arg;
	probe->fd = fd;
	probe->aside = fd == -1;
	address_format(address, text);
	probe->request_length = probe_request(&settings->probe, text, probe->request);
	loop_timer_init(&probe->timer, loop, probe_on_timer, probe);
	if (!probe->aside) {
		probe_ask(probe);
	} else if ((probe->fd = dial_socket(address)) < 0) {
		snprintf(probe->error, sizeof probe->error, "%s", strerror(-probe->fd));
		loop_timer_soon(&probe->timer);
	} else {
		probe->dial = dial_start(loop, probe->fd, address, settings, &probe->connecting, probe_on_dialled,
		    probe);
	}
	return probe;
}
