#include "tls/opening.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/peer_closed.h"
#include "tls/explain.h"
#include "tls/mysql.h"
#include "tls/wire.h"

enum opening_stage {
	OPENING_HEADER, OPENING_DIAL, OPENING_STARTTLS, OPENING_LOGIN, OPENING_HANDSHAKE, OPENING_VERDICT
};

/* How long a server that has asked for a certificate, and says nothing of it, may take. */
#define OPENING_VERDICT_TIME (CLOCK_SECOND / 4)

struct opening {
	struct event_base *loop;   /* borrowed */
	struct contexts *contexts; /* borrowed */
	struct turns *turns;       /* borrowed */
	struct turn turn;
	enum opening_stage stage;
	int local, remote;         /* owned; -1 none */
	SSL *ssl;                  /* owned */
	struct event local_event, remote_event;
	struct loop_timer timer;
	struct header header;      /* its texts stand in bytes */
	size_t header_length, length; /* of the header, of all bytes so far */
	unsigned step;             /* of starttls */
	uint8_t said[STARTTLS_ANSWER_MAX]; /* by the server in the clear; then MySQL's login packet, by the client */
	size_t said_length;
	bool probing;              /* MySQL: this connection is only to see whether TLS can be had */
	bool deaf;                 /* it ends: what it waits for would not be heard */
	bool answered;             /* MySQL: the client has the answer, and the server's greeting */
	struct mysql_login login;
	opening_ended *ended;
	void *arg;                 /* borrowed */
	char bytes[HEADER_MAX];
};

static void opening_on_remote(evutil_socket_t fd, short what, void *arg);
static void opening_is_good(struct opening *opening);

static void
opening_free(struct opening *opening)
{
	turns_leave(&opening->turn);
	loop_event_stop(&opening->local_event);
	loop_event_stop(&opening->remote_event);
	loop_timer_stop(&opening->timer);
	contexts_close(opening->ssl);
	if (opening->remote != -1)
		close(opening->remote);
	if (opening->local != -1)
		close(opening->local);
	mem_free(opening);
}

void
opening_cancel(struct opening *opening)
{
	if (opening != NULL)
		opening_free(opening);
}

void
opening_refuse(int local, const struct failure *failure)
{
	char line[ANSWER_SIZE];
	size_t length = answer_error(failure, line);

	(void)send(local, line, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(local);
}

/* Tells a client why it gets no session: as a line, or in MySQL's words if it is beyond that. */
static void
opening_tell(struct opening *opening, const struct failure *failure)
{
	uint8_t packet[MYSQL_ERROR_SIZE];
	char cause[ANSWER_SIZE], text[ANSWER_SIZE + 32];

	if (opening->answered) {
		escape(failure->text, strlen(failure->text), ESCAPE_ASCII, cause, sizeof cause);
		snprintf(text, sizeof text, "holdfast-tls: %.16s: %s", failure->kind, cause);
		(void)send(opening->local, packet, mysql_put_error(text, packet), MSG_NOSIGNAL | MSG_DONTWAIT);
		close(opening->local);
	} else {
		opening_refuse(opening->local, failure);
	}
	opening->local = -1;
}

/* Ends it: sides is what it has become, else failure is told; neither: the client is gone. */
static void
opening_end(struct opening *opening, const struct tunnel_sides *sides, const struct failure *failure)
{
	opening_ended *ended = opening->ended;
	void *arg = opening->arg;
	const struct header *header = &opening->header;
	char service[65], address[ADDRESS_TEXT_SIZE];
	struct opening_result result = { .sides = sides, .failure = failure, .service = service, .address = address };

	snprintf(service, sizeof service, "%s", header->service != NULL ? header->service : "");
	snprintf(address, sizeof address, "%s", header->address_text != NULL ? header->address_text : "");
	turns_leave(&opening->turn);
	loop_event_stop(&opening->local_event);
	loop_event_stop(&opening->remote_event);
	loop_timer_stop(&opening->timer);
	if (failure != NULL)
		opening_tell(opening, failure);
	if (sides == NULL) {
		opening_free(opening);
		ended(arg, &result);
		return;
	}
	ended(arg, &result); /* its sides point into the opening */
	mem_free(opening);
}

static void
opening_fail(struct opening *opening, const char *kind, const char *what, const char *advice)
{
	struct failure failure;

	failure_set(&failure, kind, "%s%s", what, advice);
	opening_end(opening, NULL, &failure);
}

/* If the kernel has no memory to wait for the event, the opening ends. */
static void
opening_wait_for(struct opening *opening, struct event *event)
{
	if (event_add(event, NULL) == 0)
		return;
	opening->deaf = true;
	loop_timer_at(&opening->timer, 0);
}

/* It has nothing against our certificate. */
static void
opening_is_silent(struct opening *opening)
{
	turns_leave(&opening->turn);
	contexts_prove(opening->ssl, true);
	opening_is_good(opening);
}

static void
opening_on_time(void *arg)
{
	static const char *const late[] = {
		"the header did not come in time",
		"the server does not answer the connect in time; is the host up, does a firewall drop packets?",
		"the server does not answer the request for TLS in time; check the port",
		"", /* it has no time of ours */
		"the handshake takes too long; check the port, or set starttls",
	};
	struct opening *opening = arg;

	if (opening->deaf)
		opening_fail(opening, "limit", "the kernel has no memory to wait for its sockets", "");
	else if (opening->stage == OPENING_VERDICT)
		opening_is_silent(opening);
	else
		opening_fail(opening, "timeout", late[opening->stage], "");
}

/* The local side has ended: it may have given up, or have said all that it is going to. */
static void
opening_on_local_closed(evutil_socket_t fd, short what, void *arg)
{
	struct opening *opening = arg;

	(void)what;
	if (peer_closed_has_come(fd))
		opening_end(opening, NULL, NULL);
}

static void
opening_watch_local(struct opening *opening)
{
	event_assign(&opening->local_event, opening->loop, opening->local, EV_CLOSED, opening_on_local_closed,
	    opening);
	opening_wait_for(opening, &opening->local_event);
}

static void
opening_wait_remote(struct opening *opening, short what)
{
	struct event *event = &opening->remote_event;

	if (event_initialized(event) && event_pending(event, what, NULL))
		return;
	loop_event_stop(event);
	event_assign(event, opening->loop, opening->remote, what | EV_PERSIST, opening_on_remote, opening);
	opening_wait_for(opening, event);
}

/* TLS is up: what is to be answered.  The line's length. */
static size_t
opening_answer(const struct opening *opening, char ret_line[ANSWER_SIZE])
{
	const X509 *peer = SSL_get0_peer_certificate(opening->ssl);
	const unsigned char *alpn;
	unsigned alpn_length;
	char subject[EXPLAIN_NAME_SIZE], protocol[256];
	struct answer answer = { .protocol = SSL_get_version(opening->ssl), .peer = subject, .alpn = protocol,
		.cipher = SSL_get_cipher_name(opening->ssl), .resumed = SSL_session_reused(opening->ssl),
		.expires = explain_end(peer), .own_expires = explain_end(SSL_get_certificate(opening->ssl)) };

	explain_subject(peer, subject);
	SSL_get0_alpn_selected(opening->ssl, &alpn, &alpn_length);
	snprintf(protocol, sizeof protocol, "%.*s", (int)alpn_length, alpn_length > 0 ? (const char *)alpn : "");
	return answer_ok(&answer, ret_line);
}

/* TLS is up. */
static void
opening_succeed(struct opening *opening)
{
	const char *greeting = starttls_greeting(opening->header.starttls);
	char line[ANSWER_SIZE + STARTTLS_GREETING_SIZE];
	struct tunnel_sides sides = { .local = opening->local, .remote = opening->remote, .ssl = opening->ssl,
		.to_local = line, .to_remote = opening->bytes + opening->header_length,
		.to_remote_length = opening->length - opening->header_length };

	if (opening->answered) {
		sides.login = &opening->login;
		sides.to_remote = (const char *)opening->said;
		sides.to_remote_length = opening->said_length;
	} else {
		sides.to_local_length = opening_answer(opening, line);
		memcpy(line + sides.to_local_length, greeting, strlen(greeting));
		sides.to_local_length += strlen(greeting);
	}
	opening_end(opening, &sides, NULL);
}

static void opening_dial(struct opening *opening);

/* The server is what it should be; its client's connection is another one. */
static void
opening_end_probe(struct opening *opening)
{
	contexts_prove(opening->ssl, true);
	loop_event_stop(&opening->remote_event);
	contexts_close(opening->ssl);
	opening->ssl = NULL;
	close(opening->remote);
	opening->remote = -1;
	opening->probing = false;
	opening->said_length = 0;
	opening->step = 0;
	opening_dial(opening);
}

static void
opening_is_good(struct opening *opening)
{
	if (opening->probing)
		opening_end_probe(opening);
	else
		opening_succeed(opening);
}

static void
opening_is_bad(struct opening *opening, int error)
{
	struct failure failure;

	explain_handshake(opening->ssl, &opening->header, error, &failure);
	contexts_prove(opening->ssl, false);
	opening_end(opening, NULL, &failure);
}

/* The handshake is over, and the server has still to say what it thinks of our certificate: an alert, or anything
 * else. */
static void
opening_await_verdict(struct opening *opening)
{
	int result, error;
	char byte;

	opening->stage = OPENING_VERDICT;
	do {
		ERR_clear_error();
		errno = 0;
		result = SSL_peek(opening->ssl, &byte, 1);
		error = errno;
	} while (result != 1 && SSL_get_error(opening->ssl, result) == SSL_ERROR_WANT_READ &&
	    !contexts_is_proven(opening->ssl) && SSL_has_pending(opening->ssl));
	if (result == 1 || contexts_is_proven(opening->ssl) ||
	    SSL_get_error(opening->ssl, result) == SSL_ERROR_ZERO_RETURN) {
		contexts_prove(opening->ssl, true);
		opening_is_good(opening);
	} else if (SSL_get_error(opening->ssl, result) == SSL_ERROR_WANT_READ) {
		opening_wait_remote(opening, EV_READ);
	} else {
		opening_is_bad(opening, error);
	}
}

static void
opening_shake_hands(struct opening *opening)
{
	int result, error;

	ERR_clear_error();
	errno = 0;
	result = SSL_connect(opening->ssl);
	error = errno;
	if (result == 1 && contexts_is_judged(opening->ssl)) {
		opening_is_good(opening);
		return;
	}
	if (result == 1) {
		loop_timer_at(&opening->timer, clock_after(clock_now(), OPENING_VERDICT_TIME));
		opening_await_verdict(opening);
		return;
	}
	switch (SSL_get_error(opening->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		opening_wait_remote(opening, EV_READ);
		return;
	case SSL_ERROR_WANT_WRITE:
		opening_wait_remote(opening, EV_WRITE);
		return;
	default:
		opening_is_bad(opening, error);
	}
}

static void
opening_begin_handshake(struct opening *opening)
{
	struct failure failure = { .kind = "limit", .text = "OpenSSL has no memory; lower --max-sessions" };

	opening->stage = OPENING_HANDSHAKE;
	if (opening->ssl == NULL)
		opening->ssl = contexts_open(opening->contexts, &opening->header, &failure);
	if (opening->ssl == NULL || !wire_attach(opening->ssl, opening->remote)) {
		opening_end(opening, NULL, &failure);
		return;
	}
	opening_shake_hands(opening);
}

static bool
opening_say(struct opening *opening, const void *bytes, size_t length)
{
	if (length == 0 || send(opening->remote, bytes, length, MSG_NOSIGNAL) == (ssize_t)length)
		return true; /* a new socket has room */
	opening_fail(opening, "connect", "the connection ended at once", "; the server's log says why");
	return false;
}

/* A step of starttls. */
static void
opening_talk(struct opening *opening)
{
	size_t length;
	const void *request = starttls_request(opening->header.starttls, opening->step, &length);

	opening->stage = OPENING_STARTTLS;
	opening->said_length = 0;
	if (opening_say(opening, request, length))
		opening_wait_remote(opening, EV_READ);
}

/* The client's login packet, if it has come: TLS begins. */
static void
opening_take_login(struct opening *opening)
{
	uint8_t request[MYSQL_REQUEST_SIZE];
	const char *error;

	switch (mysql_hear_login(opening->said, opening->said_length, &error)) {
	case STARTTLS_AGREED:
		loop_event_stop(&opening->local_event);
		loop_event_stop(&opening->remote_event);
		mysql_make_request(opening->said, request);
		mysql_pass_up(&opening->login, opening->said, opening->said_length);
		loop_timer_at(&opening->timer, clock_after(clock_now(), opening->header.timeout));
		opening_watch_local(opening);
		if (opening_say(opening, request, sizeof request))
			opening_begin_handshake(opening);
		return;
	case STARTTLS_REFUSED:
		opening_fail(opening, "starttls", error, "");
		return;
	default:
		return;
	}
}

static void
opening_on_login(evutil_socket_t fd, short what, void *arg)
{
	struct opening *opening = arg;
	ssize_t length = recv(fd, opening->said + opening->said_length, sizeof opening->said - opening->said_length,
	    0);

	(void)what;
	if (length == -1 && loop_is_busy(errno))
		return;
	if (length <= 0) {
		opening_end(opening, NULL, NULL);
		return;
	}
	opening->said_length += (size_t)length;
	opening_take_login(opening);
}

/* MySQL's greeting is the client's, whose login packet TLS waits for: as long as the server does. */
static void
opening_greet(struct opening *opening)
{
	const struct answer answer = { .protocol = "none", .cipher = "none", .peer = "", .alpn = "",
		.expires = ANSWER_NO_END, .own_expires = ANSWER_NO_END };
	char line[ANSWER_SIZE];
	size_t length = answer_ok(&answer, line);

	opening->stage = OPENING_LOGIN;
	loop_timer_stop(&opening->timer);
	loop_event_stop(&opening->local_event);
	mysql_hide_tls(opening->said, opening->said_length);
	if (send(opening->local, line, length, MSG_NOSIGNAL) != (ssize_t)length ||
	    send(opening->local, opening->said, opening->said_length, MSG_NOSIGNAL) == -1) {
		opening_end(opening, NULL, NULL); /* a socket that nothing was said on has room */
		return;
	}
	opening->answered = true;
	opening->said_length = 0;
	event_assign(&opening->local_event, opening->loop, opening->local, EV_READ | EV_PERSIST, opening_on_login,
	    opening);
	opening_wait_for(opening, &opening->local_event);
	opening_wait_remote(opening, EV_READ);
}

/* The client would get the server's greeting before TLS is known to be good: unless it was so the last time, that is
 * seen first, on a connection for nothing else. */
static void
opening_meet(struct opening *opening)
{
	struct failure failure;

	opening->ssl = contexts_open(opening->contexts, &opening->header, &failure);
	if (opening->ssl == NULL) {
		opening_end(opening, NULL, &failure);
	} else if (contexts_is_proven(opening->ssl)) {
		opening_greet(opening);
	} else if (opening_say(opening, mysql_probe_request(), MYSQL_REQUEST_SIZE)) {
		opening->probing = true;
		opening_begin_handshake(opening);
	}
}

static void
opening_judge(struct opening *opening, enum starttls_verdict verdict, const char *error)
{
	switch (verdict) {
	case STARTTLS_MORE:
		opening_wait_remote(opening, EV_READ);
		return;
	case STARTTLS_NEXT:
		opening->step++;
		opening_talk(opening);
		return;
	case STARTTLS_REFUSED:
		opening_fail(opening, "starttls", error, "");
		return;
	case STARTTLS_AGREED:
		if (opening->header.starttls == STARTTLS_MYSQL)
			opening_meet(opening);
		else
			opening_begin_handshake(opening);
	}
}

/* What the server answers in the clear. */
static void
opening_hear(struct opening *opening)
{
	const struct header *header = &opening->header;
	const char *error = "";
	enum starttls_verdict verdict;
	ssize_t length = recv(opening->remote, opening->said + opening->said_length,
	    sizeof opening->said - opening->said_length, 0);

	if (length == -1 && loop_is_busy(errno)) {
		opening_wait_remote(opening, EV_READ);
		return;
	}
	if (length <= 0) {
		opening_fail(opening, "starttls", length == 0 ? "the server closed the connection" : strerror(errno),
		    " before TLS was agreed on; its log says why");
		return;
	}
	opening->said_length += (size_t)length;
	if (header->starttls == STARTTLS_MYSQL)
		verdict = mysql_hear_greeting(opening->said, opening->said_length, &error);
	else
		verdict = starttls_hear(header->starttls, opening->step, opening->said, opening->said_length, &error);
	opening_judge(opening, verdict, error);
}

static void
opening_connected(struct opening *opening)
{
	if (opening->header.starttls == STARTTLS_NONE)
		opening_begin_handshake(opening);
	else
		opening_talk(opening);
}

static void
opening_fail_connect(struct opening *opening, int error)
{
	opening_fail(opening, "connect", strerror(error),
	    error == ECONNREFUSED ? "; is the server up, is the port right?" : "; check address and network");
}

static void
opening_step(void *arg)
{
	struct opening *opening = arg;
	int error = 0;
	socklen_t size = sizeof error;

	switch (opening->stage) {
	case OPENING_DIAL:
		if (getsockopt(opening->remote, SOL_SOCKET, SO_ERROR, &error, &size) == -1)
			error = errno;
		if (error != 0)
			opening_fail_connect(opening, error);
		else
			opening_connected(opening);
		return;
	case OPENING_STARTTLS:
		opening_hear(opening);
		return;
	case OPENING_LOGIN:
		opening_end(opening, NULL, NULL); /* it waits no longer, and has nothing to say that can be trusted */
		return;
	case OPENING_VERDICT:
		opening_await_verdict(opening);
		return;
	default:
		opening_shake_hands(opening);
	}
}

static void
opening_on_remote(evutil_socket_t fd, short what, void *arg)
{
	struct opening *opening = arg;

	(void)fd, (void)what;
	turns_wait(opening->turns, &opening->turn, opening_step, opening);
}

/* As the daemon sets its own: a server that has vanished is noticed after 30 s. */
static void
opening_set_options(int fd)
{
	const int on = 1, idle = 15, interval = 5, count = 3, user_timeout = TUNNEL_USER_TIMEOUT;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static void
opening_dial(struct opening *opening)
{
	struct address *address = &opening->header.address;
	int error = -address_find_interface(address);

	opening->stage = OPENING_DIAL;
	loop_timer_at(&opening->timer, clock_after(clock_now(), opening->header.timeout));
	if (error == 0) {
		opening->remote = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		error = opening->remote == -1 ? errno : 0;
	}
	if (error == 0 && address->socket.ss_family != AF_UNIX)
		opening_set_options(opening->remote);
	if (error == 0 && connect(opening->remote, (struct sockaddr *)&address->socket,
	    address->socket_length) == -1 && errno != EINPROGRESS)
		error = errno;
	if (error != 0)
		opening_fail_connect(opening, error);
	else
		opening_wait_remote(opening, EV_WRITE);
}

/* Nothing is dialled: can the files be used? */
static void
opening_check(struct opening *opening)
{
	struct failure failure;
	char line[ANSWER_SIZE];
	size_t length;

	opening->ssl = contexts_open(opening->contexts, &opening->header, &failure);
	if (opening->ssl == NULL) {
		opening_end(opening, NULL, &failure);
		return;
	}
	length = answer_checked(explain_end(SSL_get_certificate(opening->ssl)), line);
	(void)send(opening->local, line, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	opening_end(opening, NULL, NULL);
}

/* The header is whole.  What follows it waits until TLS is up. */
static void
opening_take_header(struct opening *opening)
{
	struct failure failure;
	const char *name, *error;

	error = header_parse(opening->bytes, opening->header_length, &opening->header, &name);
	if (error != NULL) {
		failure_set(&failure, "header", "%s%s%s; see holdfast-tls(8)", name, name[0] != '\0' ? ": " : "",
		    error);
		opening_end(opening, NULL, &failure);
		return;
	}
	if (opening->header.check) {
		opening_check(opening);
		return;
	}
	opening_watch_local(opening);
	opening_dial(opening);
}

static void
opening_on_local(evutil_socket_t fd, short what, void *arg)
{
	struct opening *opening = arg;
	ssize_t length = recv(fd, opening->bytes + opening->length, sizeof opening->bytes - opening->length, 0);

	(void)what;
	if (length == -1 && loop_is_busy(errno))
		return;
	if (length <= 0) {
		opening_end(opening, NULL, NULL);
		return;
	}
	opening->length += (size_t)length;
	opening->header_length = header_length(opening->bytes, opening->length);
	if (opening->header_length == 0 && opening->length < sizeof opening->bytes)
		return;
	loop_event_stop(&opening->local_event);
	if (opening->header_length == 0)
		opening_fail(opening, "header", "it is longer than 8 KiB", "");
	else
		opening_take_header(opening);
}

struct opening *
opening_start(struct event_base *loop, struct contexts *contexts, struct turns *turns, int local,
    opening_ended *ended, void *arg)
{
	struct opening *opening = mem_new(1, sizeof *opening);

	opening->loop = loop;
	opening->contexts = contexts;
	opening->turns = turns;
	opening->local = local;
	opening->remote = -1;
	opening->ended = ended;
	opening->arg = arg;
	loop_timer_init(&opening->timer, loop, opening_on_time, opening);
	loop_timer_at(&opening->timer, clock_after(clock_now(), OPENING_HEADER_TIMEOUT));
	event_assign(&opening->local_event, loop, local, EV_READ | EV_PERSIST, opening_on_local, opening);
	opening_wait_for(opening, &opening->local_event);
	return opening;
}
