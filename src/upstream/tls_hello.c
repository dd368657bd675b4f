#include "upstream/tls_hello.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"

#define GRACE CLOCK_SECOND /* holdfast-tls knows best what took so long, and says so */

struct tls_hello {
	struct event_base *loop; /* borrowed */
	int fd;                  /* borrowed */
	tls_hello_callback *callback;
	void *arg;               /* borrowed */
	struct event event;      /* from the first time on that there is something to wait for */
	struct loop_timer timer; /* the start, then deadline */
	int64_t deadline;
	size_t sent, length;     /* of header */
	size_t heard;            /* of line */
	char header[TLS_HEADER_MAX];
	char line[TLS_LINE_MAX];
};

void
tls_hello_cancel(struct tls_hello *hello)
{
	if (hello == NULL)
		return;
	loop_event_stop(&hello->event);
	loop_timer_stop(&hello->timer);
	mem_free(hello);
}

static void
tls_hello_end(struct tls_hello *hello, enum tls_verdict verdict, const struct tls_session *session,
    const char *error)
{
	tls_hello_callback *callback = hello->callback;
	void *arg = hello->arg;

	tls_hello_cancel(hello);
	callback(arg, verdict, session, error);
}

static void
tls_hello_fail(struct tls_hello *hello, const char *what)
{
	static const struct tls_session none;
	char error[TLS_ERROR_SIZE];

	snprintf(error, sizeof error, "tls: %s", what);
	tls_hello_end(hello, TLS_LOCAL, &none, error);
}

/* Whether it was all said.  Who is not let in is answered before the header is read: it is heard even so. */
static bool
tls_hello_say(struct tls_hello *hello)
{
	ssize_t n = send(hello->fd, hello->header + hello->sent, hello->length - hello->sent,
	    MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n == -1 && loop_is_busy(errno))
		return false;
	hello->sent = n == -1 ? hello->length : hello->sent + (size_t)n;
	CRASH_POINT(TLS_SAID);
	return hello->sent == hello->length;
}

static void
tls_hello_judge(struct tls_hello *hello)
{
	struct tls_session session;
	char error[TLS_ERROR_SIZE] = "";
	enum tls_verdict verdict = tls_talk_answer(hello->line, hello->heard - 1, &session, error);

	CRASH_POINT(TLS_HEARD);
	tls_hello_end(hello, verdict, &session, error);
}

/* The bytes are looked at, and only those of the line are taken.  Whether there may be more to hear at once. */
static bool
tls_hello_hear(struct tls_hello *hello)
{
	char *at = hello->line + hello->heard, *end;
	ssize_t n = recv(hello->fd, at, sizeof hello->line - hello->heard, MSG_PEEK | MSG_DONTWAIT);

	if (n == -1 && loop_is_busy(errno))
		return errno == EINTR;
	if (n < 1) {
		tls_hello_fail(hello, "holdfast-tls ended before it answered; its log says why");
		return false;
	}
	end = memchr(at, '\n', (size_t)n);
	n = recv(hello->fd, at, end == NULL ? (size_t)n : (size_t)(end - at) + 1, MSG_DONTWAIT);
	hello->heard += n < 0 ? 0 : (size_t)n;
	if (end != NULL)
		tls_hello_judge(hello);
	else if (hello->heard == sizeof hello->line)
		tls_hello_fail(hello, "what answers is not holdfast-tls; check tls.socket");
	else
		return true;
	return false;
}

static void
tls_hello_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct tls_hello *hello = arg;

	(void)fd;
	(void)what;
	if (hello->sent < hello->length && tls_hello_say(hello)) {
		loop_event_stop(&hello->event);
		event_assign(&hello->event, hello->loop, hello->fd, EV_READ | EV_PERSIST, tls_hello_on_event, hello);
		loop_event_add(&hello->event);
	} else if (hello->sent == hello->length) {
		while (tls_hello_hear(hello))
			continue;
	}
}

/* The header has room in a new connection. */
static void
tls_hello_on_timer(void *arg)
{
	struct tls_hello *hello = arg;
	short what = EV_READ | EV_PERSIST;

	if (hello->length == 0) {
		tls_hello_fail(hello, "the settings are longer than holdfast-tls takes, 8 KiB; use shorter paths");
		return;
	}
	if (event_initialized(&hello->event)) {
		tls_hello_fail(hello, "holdfast-tls does not answer; its log says why");
		return;
	}
	if (!tls_hello_say(hello))
		what = EV_WRITE | EV_PERSIST;
	event_assign(&hello->event, hello->loop, hello->fd, what, tls_hello_on_event, hello);
	loop_event_add(&hello->event);
	loop_timer_at(&hello->timer, hello->deadline);
}

struct tls_hello *
tls_hello_start(struct event_base *loop, int fd, const struct tls_settings *settings, const char *service,
    const struct tls_server *server, int64_t timeout, tls_hello_callback *callback, void *arg)
{
	struct tls_hello *hello = mem_new(1, sizeof *hello);

	hello->loop = loop;
	hello->fd = fd;
	hello->callback = callback;
	hello->arg = arg;
	hello->deadline = clock_after(clock_now(), clock_after(timeout, GRACE));
	hello->length = tls_talk_header(settings, service, server, timeout, hello->header);
	loop_timer_init(&hello->timer, loop, tls_hello_on_timer, hello);
	loop_timer_soon(&hello->timer);
	return hello;
}
