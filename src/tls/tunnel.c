#include "tls/tunnel.h"

#include <errno.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/peer_closed.h"
#include "base/tcp_patience.h"
#include "tls/context.h"
#include "tls/explain.h"
#include "tls/wire.h"

#define TUNNEL_READS 256 /* records in a turn of the loop, however small they are */
#define TUNNEL_BARREN_READS 32 /* of these without data, which take longer */
#define TUNNEL_BARREN 4096 /* reads without data, one after the other, that end a session */
#define TUNNEL_LOOK (1 * CLOCK_SECOND)
#define TUNNEL_HEED (5 * CLOCK_SECOND)

/* What the other side did not take. */
struct tunnel_pending {
	char *bytes; /* owned; NULL: nothing */
	size_t at, length;
};

struct tunnel {
	int local, remote;   /* owned */
	SSL *ssl;            /* owned */
	struct event local_read, local_write, remote_read, remote_write;
	struct loop_timer timer;
	struct loop_timer heed_timer; /* while bytes pass: does a server that has not taken all live? */
	struct tunnel_pending up, down;
	bool local_ended;    /* it has said all */
	bool local_gone;     /* it does not listen either */
	bool local_shut;     /* we have said all to it */
	bool notified;       /* close_notify is sent */
	bool remote_ended;   /* its close_notify has come */
	bool more;           /* TLS may have bytes that no event tells of */
	bool wants_write;    /* TLS must send something before it reads or writes */
	struct mysql_login login; /* over where there is none */
	bool abrupt;         /* MySQL: what it says has lengths, and servers end without close_notify */
	bool moved;          /* bytes have passed since the heed timer was set */
	bool patient;        /* the server has closed its window and lives: the user time-out is off */
	unsigned barren;     /* reads without data since the last with some */
	bool over;           /* nothing more comes from the server, which end and text tell of */
	enum tunnel_end end;
	char text[200];
	tunnel_ended *ended;
	void *arg;           /* borrowed */
};

static char tunnel_piece[TUNNEL_PIECE];

static void
tunnel_free(struct tunnel *tunnel)
{
	loop_event_stop(&tunnel->local_read);
	loop_event_stop(&tunnel->local_write);
	loop_event_stop(&tunnel->remote_read);
	loop_event_stop(&tunnel->remote_write);
	loop_timer_stop(&tunnel->timer);
	loop_timer_stop(&tunnel->heed_timer);
	contexts_close(tunnel->ssl);
	close(tunnel->remote);
	close(tunnel->local);
	mem_free(tunnel->up.bytes);
	mem_free(tunnel->down.bytes);
	mem_free(tunnel);
}

void
tunnel_cancel(struct tunnel *tunnel)
{
	if (tunnel != NULL)
		tunnel_free(tunnel);
}

static void
tunnel_keep(struct tunnel_pending *pending, const char *bytes, size_t length)
{
	if (length == 0)
		return;
	pending->bytes = mem_copy_bytes(bytes, length);
	pending->at = 0;
	pending->length = length;
}

/* So many of the pending bytes were taken. */
static void
tunnel_taken(struct tunnel_pending *pending, size_t count)
{
	pending->at += count;
	pending->length -= count;
	if (pending->length == 0) {
		mem_free(pending->bytes);
		pending->bytes = NULL;
	}
}

static void
tunnel_break(struct tunnel *tunnel, int error)
{
	if (tunnel->over)
		return;
	tunnel->over = true;
	if (tunnel->remote_ended) {
		ERR_clear_error(); /* it has closed its socket after all that it said */
		tunnel->end = TUNNEL_CLOSED;
		return;
	}
	if (tunnel->abrupt && (explain_is_truncation() || error == ECONNRESET || error == EPIPE)) {
		ERR_clear_error();
		tunnel->end = TUNNEL_CLOSED;
		return;
	}
	if (tunnel->local_gone || peer_closed_has_come(tunnel->local)) {
		ERR_clear_error(); /* nobody is there to miss something */
		tunnel->end = TUNNEL_GONE;
		return;
	}
	if (explain_is_truncation()) {
		ERR_clear_error();
		tunnel->end = TUNNEL_TRUNCATED;
		snprintf(tunnel->text, sizeof tunnel->text, "the server ended the connection without close_notify");
		return;
	}
	tunnel->end = TUNNEL_BROKEN;
	contexts_prove(tunnel->ssl, false); /* an alert may be about our certificate */
	explain_session(error, tunnel->text, sizeof tunnel->text);
}

/* An operation of TLS gave no bytes. */
static void
tunnel_judge(struct tunnel *tunnel, int result, bool writes)
{
	int error = errno;

	switch (SSL_get_error(tunnel->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return;
	case SSL_ERROR_WANT_WRITE:
		tunnel->wants_write = true;
		return;
	case SSL_ERROR_ZERO_RETURN:
		tunnel->remote_ended = true;
		if (writes) /* it has closed its socket, too: OpenSSL tells of its end first */
			tunnel_break(tunnel, error);
		return;
	default:
		tunnel_break(tunnel, error);
	}
}

/* Looking is cheaper than clearing what is nearly always clear. */
static void
tunnel_clear_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
	errno = 0;
}

static void
tunnel_note_move(struct tunnel *tunnel)
{
	tunnel->moved = true;
	if (!loop_timer_is_set(&tunnel->heed_timer))
		loop_timer_at(&tunnel->heed_timer, clock_after(clock_now(), TUNNEL_HEED));
}

/* As many of the bytes as TLS takes now. */
static size_t
tunnel_encrypt(struct tunnel *tunnel, const char *bytes, size_t length)
{
	size_t sent = 0, count;

	while (sent < length) {
		tunnel_clear_errors();
		wire_set_more(tunnel->ssl, length - sent > SSL3_RT_MAX_PLAIN_LENGTH);
		if (!SSL_write_ex(tunnel->ssl, bytes + sent, length - sent, &count)) {
			tunnel_judge(tunnel, 0, true);
			break;
		}
		sent += count;
	}
	if (sent > 0)
		tunnel_note_move(tunnel);
	return sent;
}

static void
tunnel_notify(struct tunnel *tunnel)
{
	int result;

	tunnel_clear_errors();
	result = SSL_shutdown(tunnel->ssl);
	tunnel->notified = result >= 0;
	if (result < 0)
		tunnel_judge(tunnel, result, true);
}

/* Once all is sent. */
static void
tunnel_end_up(struct tunnel *tunnel)
{
	if (tunnel->local_ended && tunnel->up.length == 0 && !tunnel->notified && !tunnel->over &&
	    !SSL_in_init(tunnel->ssl)) /* an update of the keys is to be finished first */
		tunnel_notify(tunnel);
}

/* From the local side to the server. */
static void
tunnel_move_up(struct tunnel *tunnel)
{
	ssize_t length;
	size_t sent;

	if (tunnel->up.length > 0)
		tunnel_taken(&tunnel->up, tunnel_encrypt(tunnel, tunnel->up.bytes + tunnel->up.at,
		    tunnel->up.length));
	else if (!tunnel->local_ended) {
		length = recv(tunnel->local, tunnel_piece, sizeof tunnel_piece, 0);
		if (length > 0) {
			mysql_pass_up(&tunnel->login, (uint8_t *)tunnel_piece, (size_t)length);
			sent = tunnel_encrypt(tunnel, tunnel_piece, (size_t)length);
			tunnel_keep(&tunnel->up, tunnel_piece + sent, (size_t)length - sent);
		} else if (length == 0 || !loop_is_busy(errno)) {
			tunnel->local_ended = true;
			tunnel->local_gone = length == -1 || peer_closed_has_come(tunnel->local);
		}
	}
	tunnel_end_up(tunnel);
}

/* As many of the bytes as the local side takes now. */
static size_t
tunnel_deliver(struct tunnel *tunnel, const char *bytes, size_t length)
{
	ssize_t sent = send(tunnel->local, bytes, length, MSG_NOSIGNAL);

	if (sent == -1 && !loop_is_busy(errno)) {
		tunnel->local_gone = true;
		return length; /* nobody is there: the server is heard to its end, for it may not listen before */
	}
	return sent == -1 ? 0 : (size_t)sent;
}

/* Records without data have been read: tickets, with which a session begins, or more.  Without reading ahead OpenSSL
 * returns behind each of them; else only behind a buffer full of them, which is long enough for others to notice. */
static void
tunnel_count_barren(struct tunnel *tunnel)
{
	if (++tunnel->barren == 2)
		SSL_set_read_ahead(tunnel->ssl, 0);
	if (tunnel->barren < TUNNEL_BARREN)
		return;
	tunnel->over = true;
	tunnel->end = TUNNEL_BROKEN;
	snprintf(tunnel->text, sizeof tunnel->text,
	    "the server sends key updates, tickets or the like without end, and no data");
}

/* Reads what there is.  False: nothing more can be read now. */
static bool
tunnel_read(struct tunnel *tunnel, char *ret_bytes, size_t size, size_t *ret_count)
{
	bool waits;

	*ret_count = 0;
	tunnel_clear_errors();
	if (SSL_read_ex(tunnel->ssl, ret_bytes, size, ret_count)) {
		tunnel_note_move(tunnel);
		if (tunnel->barren > 1)
			SSL_set_read_ahead(tunnel->ssl, 1);
		tunnel->barren = 0;
		return SSL_has_pending(tunnel->ssl); /* if the socket has more, an event tells */
	}
	waits = loop_is_busy(errno);
	tunnel_judge(tunnel, 0, false);
	if (waits || tunnel->remote_ended || tunnel->over || tunnel->wants_write)
		return false;
	tunnel_count_barren(tunnel);
	return !tunnel->over && SSL_has_pending(tunnel->ssl);
}

/* What TLS has for us, up to a piece. */
static size_t
tunnel_decrypt(struct tunnel *tunnel)
{
	size_t length = 0, count;
	unsigned work = 0;

	do {
		tunnel->more = tunnel_read(tunnel, tunnel_piece + length, sizeof tunnel_piece - length, &count);
		length += count;
		work += count > 0 ? 1 : TUNNEL_READS / TUNNEL_BARREN_READS;
	} while (tunnel->more && work < TUNNEL_READS && length < sizeof tunnel_piece);
	return length;
}

/* From the server to the local side. */
static void
tunnel_move_down(struct tunnel *tunnel)
{
	size_t length, sent;

	if (tunnel->down.length > 0)
		tunnel_taken(&tunnel->down, tunnel_deliver(tunnel, tunnel->down.bytes + tunnel->down.at,
		    tunnel->down.length));
	if (tunnel->down.length == 0 && !tunnel->remote_ended && !tunnel->over) {
		length = tunnel_decrypt(tunnel);
		mysql_pass_down(&tunnel->login, (uint8_t *)tunnel_piece, length);
		sent = length == 0 ? 0 : tunnel_deliver(tunnel, tunnel_piece, length);
		tunnel_keep(&tunnel->down, tunnel_piece + sent, length - sent);
	}
	if (tunnel->down.length == 0 && tunnel->remote_ended && !tunnel->local_shut) {
		tunnel->local_shut = true;
		shutdown(tunnel->local, SHUT_WR);
	}
}

static bool
tunnel_is_over(struct tunnel *tunnel)
{
	if (tunnel->over)
		return tunnel->down.length == 0 || tunnel->local_gone;
	if (tunnel->local_gone && tunnel->notified) {
		tunnel->end = TUNNEL_GONE;
		return true;
	}
	tunnel->end = TUNNEL_CLOSED;
	return tunnel->notified && tunnel->local_shut;
}

/* A half-closed local side that closes altogether tells by no event that is armed. */
static void
tunnel_set_timer(struct tunnel *tunnel)
{
	if (tunnel->more && tunnel->down.length == 0 && !tunnel->remote_ended && !tunnel->over)
		loop_timer_at(&tunnel->timer, 0);
	else if (tunnel->local_ended)
		loop_timer_at(&tunnel->timer, clock_after(clock_now(), TUNNEL_LOOK));
}

/* false: the kernel has no memory to wait for it. */
static bool
tunnel_arm(struct event *event, bool wanted)
{
	bool armed = event_pending(event, EV_READ | EV_WRITE, NULL) != 0;

	if (wanted && !armed)
		return event_add(event, NULL) == 0;
	if (!wanted && armed)
		event_del(event);
	return true;
}

/* false: something would never be heard. */
static bool
tunnel_wait(struct tunnel *tunnel)
{
	bool hears = tunnel_arm(&tunnel->local_read, tunnel->up.length == 0 && !tunnel->local_ended && !tunnel->over);

	hears &= tunnel_arm(&tunnel->local_write, tunnel->down.length > 0);
	hears &= tunnel_arm(&tunnel->remote_read, tunnel->down.length == 0 && !tunnel->remote_ended && !tunnel->over);
	hears &= tunnel_arm(&tunnel->remote_write, tunnel->wants_write && !tunnel->over);
	tunnel_set_timer(tunnel);
	return hears;
}

/* Ends it, or waits for what can happen next. */
static void
tunnel_continue(struct tunnel *tunnel)
{
	tunnel_ended *ended = tunnel->ended;
	void *arg = tunnel->arg;
	enum tunnel_end end;
	char text[sizeof tunnel->text];

	if (!tunnel_is_over(tunnel)) {
		if (tunnel_wait(tunnel))
			return;
		tunnel->end = TUNNEL_BROKEN;
		snprintf(tunnel->text, sizeof tunnel->text, "its sockets cannot be waited for: %s", strerror(errno));
	}
	end = tunnel->end;
	memcpy(text, tunnel->text, sizeof text);
	tunnel_free(tunnel);
	ended(arg, end, text);
}

static void
tunnel_local_event(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;

	(void)fd;
	if (what & EV_READ)
		tunnel_move_up(tunnel);
	if (what & EV_WRITE)
		tunnel_move_down(tunnel);
	tunnel_continue(tunnel);
}

static void
tunnel_remote_event(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;

	(void)fd;
	if (what & EV_WRITE) {
		tunnel->wants_write = false;
		tunnel_move_up(tunnel);
	}
	tunnel_move_down(tunnel);
	tunnel_end_up(tunnel);
	tunnel_continue(tunnel);
}

static void
tunnel_on_timer(void *arg)
{
	struct tunnel *tunnel = arg;

	if (tunnel->local_ended)
		tunnel->local_gone = peer_closed_has_come(tunnel->local);
	tunnel_move_down(tunnel);
	tunnel_continue(tunnel);
}

/* As long as bytes pass, or the server's host has not acknowledged all.  Then OpenSSL's buffers are freed. */
static void
tunnel_on_heed(void *arg)
{
	struct tunnel *tunnel = arg;
	int queued = 0;

	tunnel->patient = tcp_patience_heed(tunnel->remote, TUNNEL_USER_TIMEOUT, tunnel->patient);
	if (tunnel->moved || tunnel->patient || (ioctl(tunnel->remote, SIOCOUTQ, &queued) == 0 && queued > 0))
		loop_timer_at(&tunnel->heed_timer, clock_after(clock_now(), TUNNEL_HEED));
	else
		SSL_free_buffers(tunnel->ssl);
	tunnel->moved = false;
}

struct tunnel *
tunnel_start(struct event_base *loop, const struct tunnel_sides *sides, tunnel_ended *ended, void *arg)
{
	struct tunnel *tunnel = mem_new(1, sizeof *tunnel);
	size_t sent;

	tunnel->local = sides->local;
	tunnel->remote = sides->remote;
	tunnel->ssl = sides->ssl;
	tunnel->ended = ended;
	tunnel->arg = arg;
	tunnel->login.over = true;
	tunnel->abrupt = sides->login != NULL;
	if (tunnel->abrupt)
		tunnel->login = *sides->login;
	event_assign(&tunnel->local_read, loop, tunnel->local, EV_READ | EV_PERSIST, tunnel_local_event, tunnel);
	event_assign(&tunnel->local_write, loop, tunnel->local, EV_WRITE | EV_PERSIST, tunnel_local_event, tunnel);
	event_assign(&tunnel->remote_read, loop, tunnel->remote, EV_READ | EV_PERSIST, tunnel_remote_event, tunnel);
	event_assign(&tunnel->remote_write, loop, tunnel->remote, EV_WRITE | EV_PERSIST, tunnel_remote_event, tunnel);
	loop_timer_init(&tunnel->timer, loop, tunnel_on_timer, tunnel);
	loop_timer_init(&tunnel->heed_timer, loop, tunnel_on_heed, tunnel);
	sent = tunnel_deliver(tunnel, sides->to_local, sides->to_local_length);
	tunnel_keep(&tunnel->down, sides->to_local + sent, sides->to_local_length - sent);
	tunnel_keep(&tunnel->up, sides->to_remote, sides->to_remote_length);
	tunnel->wants_write = tunnel->up.length > 0;
	tunnel->more = SSL_has_pending(tunnel->ssl); /* bytes that came with the handshake's end */
	SSL_clear_mode(tunnel->ssl, SSL_MODE_RELEASE_BUFFERS); /* one that works keeps them */
	if (!tunnel_wait(tunnel))
		loop_timer_at(&tunnel->timer, 0); /* ends it, unless it can then */
	return tunnel;
}
