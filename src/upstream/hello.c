#include "upstream/hello.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "keep/crash.h"

#define HELLO_LINGER (100 * CLOCK_MILLISECOND) /* for the server to close a connection aside first */

struct hello {
	struct event_base *loop;               /* borrowed */
	int fd;                                /* borrowed */
	const struct hello_settings *settings; /* borrowed */
	struct hello_probe probe;
	hello_callback *callback;
	void *arg;                             /* borrowed */
	struct hello_talk talk;
	char *text;                            /* owned: all texts, the last one being sent; NULL none yet */
	size_t length, sent;                   /* of it */
	struct event event;                    /* from the first time on that there is something to wait for */
	bool parting;                          /* all is said, the connection's own end is waited for */
	struct loop_timer timer;               /* the start, then talk.deadline, or the end of parting */
};

/* Reads an open file whole.  NULL or what is wrong. */
static const char *
hello_read_file(int fd, char **ret_text, size_t *ret_length)
{
	struct stat status;
	char *text;
	ssize_t n;

	if (fd == -1 || fstat(fd, &status) == -1)
		return strerror(errno);
	if (!S_ISREG(status.st_mode))
		return "is not a regular file";
	if (status.st_size > (off_t)HELLO_TEXT_MAX)
		return "is larger than 64 KiB";
	text = mem_new(HELLO_TEXT_MAX, 1);
	n = read(fd, text, HELLO_TEXT_MAX);
	if (n < 1) {
		mem_free(text);
		return n == -1 ? strerror(errno) : "is empty";
	}
	*ret_text = text;
	*ret_length = (size_t)n;
	return NULL;
}

char *
hello_load(const char *name, char **ret_text, size_t *ret_length)
{
	bool handed = strncmp(name, HELLO_CREDENTIAL, strlen(HELLO_CREDENTIAL)) == 0;
	const char *directory = handed ? getenv("CREDENTIALS_DIRECTORY") : "", *why;
	char *path;
	int fd;

	if (handed && (directory == NULL || *directory == '\0'))
		return mem_print("%s: $CREDENTIALS_DIRECTORY is not set", name);
	path = handed ? mem_print("%s/%s", directory, name + strlen(HELLO_CREDENTIAL)) : mem_copy_text(name);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	mem_free(path);
	why = hello_read_file(fd, ret_text, ret_length);
	if (fd != -1)
		close(fd);
	return why == NULL ? NULL : mem_print("%s: %s", name, why);
}

void
hello_forget(char **text, size_t length)
{
	if (*text != NULL)
		explicit_bzero(*text, length);
	mem_free(*text);
	*text = NULL;
}

/* What is to be sent now: NULL, or what is wrong, to be freed.  All texts stay, for the talk to find in them what
 * must not be shown; a probe's question may be.  No copy is left in freed memory. */
static char *
hello_prepare_text(struct hello *hello)
{
	const struct hello_step *step;
	char address[ADDRESS_TEXT_SIZE], *text = NULL, *all, *wrong;
	size_t length = 0;

	if (hello->talk.probing) {
		address_format(hello->probe.address, address);
		text = mem_new(PROXY_HEADER_MAX + PROBE_TEXT_SIZE, 1);
		length = proxy_header_local(hello->probe.proxy, (unsigned char *)text);
		length += probe_request(hello->probe.settings, address, text + length);
	} else if ((step = &hello->settings->steps[hello->talk.step])->send != NULL) {
		text = mem_copy_text(step->send);
		length = strlen(step->send);
	} else if ((wrong = hello_load(step->send_file, &text, &length)) != NULL) {
		return wrong;
	}
	all = mem_new(hello->length + length + 1, 1);
	if (hello->text != NULL)
		memcpy(all, hello->text, hello->length);
	hello_forget(&hello->text, hello->length);
	all[hello->length] = '\n';
	hello->sent = hello->length + 1;
	if (length > 0)
		memcpy(all + hello->sent, text, length);
	hello_forget(&text, length);
	hello->talk.sent = hello->text = all;
	hello->length = hello->sent + length;
	if (!hello->talk.probing)
		hello->talk.sent_length = hello->length;
	return NULL;
}

/* Whether there is more to do at once. */
static bool
hello_say(struct hello *hello)
{
	char *wrong = hello->sent == hello->length ? hello_prepare_text(hello) : NULL;
	ssize_t n = 0;

	if (wrong != NULL) {
		hello_talk_failed(&hello->talk, "%s", wrong);
		mem_free(wrong);
		return false;
	}
	if (hello->sent < hello->length) /* a probe may only listen */
		n = send(hello->fd, hello->text + hello->sent, hello->length - hello->sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1 && loop_is_busy(errno))
		return errno == EINTR;
	if (n == -1 && errno == EPIPE)
		hello_talk_closed(&hello->talk);
	else if (n == -1)
		hello_talk_failed(&hello->talk, "%s", strerror(errno));
	else
		hello->sent += (size_t)n;
	if (n != -1 && hello->sent == hello->length) {
		CRASH_POINT(HELLO_SAID);
		hello_talk_said(&hello->talk, hello->settings, clock_now());
	}
	return true;
}

/* Reads what the server still says; true when it has closed: closing over unread bytes would be a reset. */
static bool
hello_drain(const struct hello *hello)
{
	char bytes[4096];
	ssize_t n = 1;

	for (int i = 0; i < 16 && n > 0; i++)
		n = recv(hello->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	return n != -1 || !loop_is_busy(errno);
}

/* The bytes are looked at, and only those that are hello's, or the probe's, are taken.  Whether a probe's connection
 * is at its end is asked first: bytes that came before it are there then. */
static bool
hello_hear(struct hello *hello)
{
	struct pollfd look = { .fd = hello->fd, .events = POLLRDHUP };
	bool ended = hello->talk.probing && poll(&look, 1, 0) == 1;
	char bytes[HELLO_LINE_MAX + 2], text[PROBE_TEXT_SIZE];
	ssize_t n = recv(hello->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	size_t taken, farewell;

	if (n == -1 && loop_is_busy(errno))
		return errno == EINTR;
	if (n == -1) {
		hello_talk_failed(&hello->talk, "%s", strerror(errno));
		return true;
	}
	taken = n == 0 ? 0 : hello_talk_heard(&hello->talk, hello->settings, bytes, (size_t)n, clock_now());
	if (hello->talk.wants == HELLO_OVER && hello->probe.aside) { /* the answer is known */
		farewell = probe_farewell(hello->talk.probe, (const unsigned char *)bytes, (size_t)n, text);
		hello->parting = true;
		loop_timer_at(&hello->timer, clock_now() + HELLO_LINGER);
		if (farewell > 0)
			send(hello->fd, text, farewell, MSG_NOSIGNAL | MSG_DONTWAIT);
		shutdown(hello->fd, SHUT_WR);
	} else if (taken > 0 && recv(hello->fd, bytes, taken, MSG_DONTWAIT) != (ssize_t)taken) {
		hello_talk_failed(&hello->talk, "bytes that were there are gone");
	} else if (hello->talk.wants == HELLO_HEAR && (n == 0 || (taken == 0 && ended))) {
		hello_talk_closed(&hello->talk);
	}
	CRASH_POINT(HELLO_HEARD);
	return taken > 0;
}

void
hello_cancel(struct hello *hello)
{
	if (hello == NULL)
		return;
	loop_event_stop(&hello->event);
	loop_timer_stop(&hello->timer);
	hello_forget(&hello->text, hello->length);
	mem_free(hello);
}

static void hello_run(struct hello *hello);

static void
hello_on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	hello_run(arg);
}

/* Goes as far as it can at once: steps and lines are bounded, so it comes to an end.  Edge-triggered, so that bytes
 * that are looked at and left do not come on and on. */
static void
hello_run(struct hello *hello)
{
	hello_callback *callback = hello->callback;
	char error[HELLO_ERROR_SIZE];
	enum hello_end end;
	void *arg = hello->arg;
	bool more = true;

	while (more && hello->talk.wants != HELLO_OVER)
		more = hello->talk.wants == HELLO_SAY ? hello_say(hello) : hello_hear(hello);
	if (hello->talk.wants == HELLO_OVER && (!hello->parting || hello_drain(hello))) {
		end = hello->talk.end;
		memcpy(error, hello->talk.error, sizeof error);
		hello_cancel(hello);
		callback(arg, end, error);
		return;
	}
	if (!event_initialized(&hello->event)) {
		event_assign(&hello->event, hello->loop, hello->fd, EV_READ | EV_WRITE | EV_PERSIST | EV_ET,
		    hello_on_event, hello);
		loop_event_add(&hello->event);
	}
	if (!hello->parting)
		loop_timer_at(&hello->timer, hello->talk.deadline);
}

static void
hello_on_timer(void *arg)
{
	struct hello *hello = arg;

	hello->parting = false; /* it was long enough */
	if (event_initialized(&hello->event) && clock_now() >= hello->talk.deadline)
		hello_talk_late(&hello->talk, hello->settings);
	hello_run(hello);
}

struct hello *
hello_start(struct event_base *loop, int fd, const struct hello_settings *settings, const struct hello_probe *probe,
    hello_callback *callback, void *arg)
{
	struct hello *hello = mem_new(1, sizeof *hello);

	*hello = (struct hello){ .loop = loop, .fd = fd, .settings = settings, .callback = callback, .arg = arg };
	if (probe != NULL) {
		hello->probe = *probe;
		hello->talk.probe = probe->settings->kind;
		hello->talk.probe_timeout = probe->timeout;
	}
	loop_timer_init(&hello->timer, loop, hello_on_timer, hello);
	hello_talk_begin(&hello->talk, settings, clock_now());
	loop_timer_soon(&hello->timer);
	return hello;
}

void
hello_set(struct hello *hello, const struct hello_settings *settings, const struct probe_settings *probe)
{
	if (hello == NULL)
		return;
	hello->settings = settings;
	hello->probe.settings = probe;
}
