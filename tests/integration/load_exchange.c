/* load_exchange.c - both ends of the load generator's exchanges. */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAGIC       0x64616f6cu
#define CHUNK       65536u
#define SLOW_CHUNK  16384u
#define UNREAD      1000u /* what the server of CLIENT_RESET sends */

struct request {
	uint32_t magic;
	uint32_t kind;
	uint64_t seed;
	uint64_t bytes;
};

/* One end of an exchange, the client's or the server's. */
struct end {
	int fd;           /* -1: a slot between two exchanges */
	bool server, rx_eof, tx_shut, paused, seen, resetting;
	uint32_t interest; /* what epoll was asked for; 0: not in it, so that a hang-up is silent too */
	struct request request;
	size_t request_done;
	uint64_t rx, tx, tx_limit, rx_wanted;
	int64_t since, worst;    /* of a round trip; microseconds */
	int64_t wake;
	TAILQ_ENTRY(end) sleeping;
};

static unsigned char scratch[CHUNK], wanted[CHUNK + 16];

static void fail(struct end *end, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct end *end, const char *format, ...)
{
	va_list arguments;

	if (load.errors++ >= 20)
		return;
	fprintf(stderr, "load: %s %s, seed %" PRIu64 ", received %" PRIu64 " of %" PRIu64 ", sent %" PRIu64
	    " of %" PRIu64 "%s: ", end->server ? "server" : "client",
	    end->request.kind < KINDS ? kind_names[end->request.kind] : "?", end->request.seed, end->rx,
	    end->rx_wanted, end->tx, end->tx_limit, end->rx_eof ? ", at end" : "");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

static void sleep_until(struct end *end, int64_t wake)
{
	struct end *before;

	end->wake = wake;
	end->paused = true;
	TAILQ_FOREACH_REVERSE(before, &load.sleepers, sleepers, sleeping)
		if (before->wake <= wake)
			break;
	if (before != NULL)
		TAILQ_INSERT_AFTER(&load.sleepers, before, end, sleeping);
	else
		TAILQ_INSERT_HEAD(&load.sleepers, end, sleeping);
}

static void note_seen(struct end *end)
{
	if (end->server || end->seen)
		return;
	end->seen = true;
	if (--load.unseen == 0) {
		puts("running");
		fflush(stdout);
	}
}

static void client_begin(struct end *end);

/* The exchange is over, well or not; a client's slot begins the next one. */
static void end_close(struct end *end, bool good)
{
	if (good)
		load.done[end->server][end->request.kind]++;
	if (end->paused)
		TAILQ_REMOVE(&load.sleepers, end, sleeping);
	close(end->fd);
	end->fd = -1;
	end->paused = false;
	load.progress = load.now;
	if (end->server) {
		load.server_ends -= end->request_done == sizeof(end->request);
		free(end);
		return;
	}
	note_seen(end);
	load.busy--;
	if (load.now < load.stop && load.errors == 0)
		client_begin(end);
}

static bool tx_pending(const struct end *end)
{
	return (!end->server && end->request_done < sizeof(end->request)) || end->tx < end->tx_limit;
}

static void interest_update(struct end *end)
{
	uint32_t interest = 0;
	struct epoll_event event = { .data.ptr = end };

	if (!end->rx_eof && !end->paused && !end->resetting)
		interest |= EPOLLIN;
	if (tx_pending(end))
		interest |= EPOLLOUT;
	if (interest == end->interest)
		return;
	event.events = interest;
	epoll_ctl(load.epoll, interest == 0 ? EPOLL_CTL_DEL : end->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
	    end->fd, &event);
	end->interest = interest;
}

static void ping_next(struct end *end)
{
	end->tx_limit += some_size(end->request.seed + end->tx_limit, 15);
	end->rx_wanted = end->tx_limit;
	end->since = load.now;
}

static uint64_t exchange_size(enum kind kind, uint64_t seed)
{
	switch (kind) {
	case BULK: return load.bulk_bytes;
	case SLOW: return (1u << 20) + some_size(seed, 10);
	case HALF: return some_size(seed, 22);
	default: return some_size(seed, 15);
	}
}

static void client_begin(struct end *end)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	enum kind kind = end->request.kind;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, load.path, sizeof(address.sun_path) - 1);
	end->rx = end->tx = end->tx_limit = end->rx_wanted = end->request_done = 0;
	end->rx_eof = end->tx_shut = false;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1) {
		close(fd);
		if (errno == EAGAIN) {
			load.backlog_full++;
			sleep_until(end, load.now + 5000);
		} else {
			fail(end, "connect: %s", strerror(errno));
		}
		return;
	}
	load.busy++;
	end->request = (struct request){ .magic = MAGIC, .kind = kind, .seed = mix(load.seed++) };
	end->request.bytes = exchange_size(kind, end->request.seed);
	end->rx_wanted = kind == CLIENT_RESET ? 0 : end->request.bytes;
	if (kind == PING || kind == ASK)
		ping_next(end);
	else
		end->tx_limit = kind == SERVER_RESET ? 0 : end->request.bytes;
	end->fd = fd;
	end->interest = 0;
	interest_update(end);
}

/* The server has read what the client wants. */
static void server_begin(struct end *end)
{
	uint64_t bytes = end->request.bytes;

	load.server_ends++;
	end->rx_wanted = end->request.kind == SERVER_RESET ? 0 : bytes;
	switch (end->request.kind) {
	case BULK: case SLOW: case SERVER_RESET: end->tx_limit = bytes; break;
	case CLIENT_RESET: end->tx_limit = UNREAD; break;
	default: break;
	}
}

/* All round trips of one client's ping, longest kept. */
static void round_trip_ended(struct end *end)
{
	int64_t took = load.now - end->since;

	load.round_trips++;
	if (took > end->worst)
		end->worst = took;
	if (took > load.mark[load.marks])
		load.mark[load.marks] = took;
}

/* What the client does next, when it has something in hand.  True: it has been closed. */
static bool client_step(struct end *end)
{
	enum kind kind = end->request.kind;
	bool all = end->rx == end->rx_wanted;

	if (kind == PING && all && !end->rx_eof && !end->tx_shut && !tx_pending(end)) {
		round_trip_ended(end);
		if (load.now >= load.stop) {
			shutdown(end->fd, SHUT_WR);
			end->tx_shut = true;
		} else if (load.think > 0) {
			sleep_until(end, load.now + load.think);
		} else {
			ping_next(end);
		}
	}
	if (kind == ASK && all && !tx_pending(end))
		return end_close(end, true), true;
	if ((kind == BULK || kind == SLOW || kind == HALF) && !tx_pending(end) && !end->tx_shut) {
		shutdown(end->fd, SHUT_WR);
		end->tx_shut = true;
	}
	if (!end->rx_eof || ((kind == BULK || kind == SLOW) && all && tx_pending(end)))
		return false;
	if (!all || tx_pending(end) || (!end->tx_shut && kind != SERVER_RESET))
		fail(end, "the connection was closed");
	return end_close(end, all), true;
}

static bool server_step(struct end *end)
{
	enum kind kind = end->request.kind;
	bool all = end->rx == end->rx_wanted;

	if (kind == PING || kind == ASK)
		end->tx_limit = end->rx_wanted = end->rx, all = true;
	if (kind == HALF && end->rx_eof && end->rx == end->request.bytes)
		end->tx_limit = end->request.bytes;
	if ((kind == BULK || kind == SLOW) && !tx_pending(end) && !end->tx_shut) {
		shutdown(end->fd, SHUT_WR);
		end->tx_shut = true;
	}
	if (kind == SERVER_RESET && !tx_pending(end) && !end->resetting) {
		end->resetting = true; /* once the far kernel has it all */
		sleep_until(end, load.now + 500);
	}
	if (!end->rx_eof || (all && tx_pending(end)))
		return false;
	if (!all)
		fail(end, "the connection was closed");
	return end_close(end, all), true;
}

static void server_reset(struct end *end)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	int queued = 0;

	if (ioctl(end->fd, SIOCOUTQ, &queued) == 0 && queued > 0) {
		sleep_until(end, load.now + 500);
		return;
	}
	setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	end_close(end, true);
}

/* The first bytes of a server's connection.  True: the request is whole, or the connection is gone. */
static bool request_receive(struct end *end)
{
	unsigned char *to = (unsigned char *)&end->request + end->request_done;
	ssize_t got = recv(end->fd, to, sizeof(end->request) - end->request_done, 0);

	if (got == -1 && errno == EAGAIN)
		return false;
	if (got <= 0) {
		if (end->request_done > 0)
			fail(end, "closed within the request");
		end_close(end, false); /* kept ready, and not used */
		return false;
	}
	end->request_done += (size_t)got;
	if (end->request_done < sizeof(end->request))
		return false;
	if (end->request.magic != MAGIC || end->request.kind >= KINDS) {
		fail(end, "bad request");
		end->request_done = 0;
		end_close(end, false);
		return false;
	}
	server_begin(end);
	return true;
}

static void receive(struct end *end)
{
	size_t most = !end->server && end->request.kind == SLOW ? SLOW_CHUNK : CHUNK;
	ssize_t got = recv(end->fd, scratch, most, 0);
	const unsigned char *expected;

	if (got == -1 && errno == EAGAIN)
		return;
	if (got <= 0) {
		end->rx_eof = true; /* a reset too: what counts is whether all has come */
		return;
	}
	load.bytes += (size_t)got;
	load.progress = load.now;
	expected = stream_at(wanted, end->request.seed, !end->server, end->rx, (size_t)got);
	if (memcmp(scratch, expected, (size_t)got) != 0)
		fail(end, "wrong bytes within the %zd at %" PRIu64, got, end->rx);
	end->rx += (size_t)got;
	note_seen(end);
	if (most == SLOW_CHUNK)
		sleep_until(end, load.now + 5000);
}

static void transmit(struct end *end)
{
	const unsigned char *from;
	uint64_t left = end->tx_limit - end->tx;
	size_t len = left < CHUNK ? (size_t)left : CHUNK;
	ssize_t put;

	if (!end->server && end->request_done < sizeof(end->request)) {
		put = send(end->fd, (unsigned char *)&end->request + end->request_done,
		    sizeof(end->request) - end->request_done, MSG_NOSIGNAL);
		if (put > 0)
			end->request_done += (size_t)put;
	} else {
		from = stream_at(wanted, end->request.seed, end->server, end->tx, len);
		put = send(end->fd, from, len, MSG_NOSIGNAL);
		if (put > 0)
			end->tx += (size_t)put;
	}
	if (put > 0)
		load.progress = load.now;
	else if (put == -1 && errno != EAGAIN) { /* the reading side will tell what is missing */
		if (end->request.kind != CLIENT_RESET || !end->server)
			fail(end, "send: %s", strerror(errno));
		end->tx = end->tx_limit;
		end->rx_eof |= !end->server;
	}
}

void end_work(struct end *end, uint32_t events)
{
	bool unread = !end->server && end->request.kind == CLIENT_RESET;

	if (end->server && end->request_done < sizeof(end->request)) {
		if (!request_receive(end))
			return;
	} else if ((events & EPOLLIN) && unread && !tx_pending(end)) {
		end_close(end, true);
		return;
	} else if ((events & EPOLLIN) && !unread && !end->rx_eof) {
		receive(end);
	}
	if (tx_pending(end))
		transmit(end);
	if (unread && (events & EPOLLHUP))
		end->rx_eof = true;
	if (end->server ? server_step(end) : client_step(end))
		return;
	interest_update(end);
}

int64_t sleepers_wake(void)
{
	struct end *end;

	while ((end = TAILQ_FIRST(&load.sleepers)) != NULL && end->wake <= load.now) {
		TAILQ_REMOVE(&load.sleepers, end, sleeping);
		end->paused = false;
		if (end->fd == -1) {
			client_begin(end);
			continue;
		}
		if (end->resetting) {
			server_reset(end);
			continue;
		}
		if (end->request.kind == PING)
			ping_next(end);
		interest_update(end);
	}
	return end == NULL ? -1 : end->wake - load.now;
}

void clients_begin(void)
{
	for (unsigned kind = 0; kind < KINDS; kind++)
		load.client_count += load.slots[kind];
	load.unseen = load.client_count;
	load.clients = calloc(load.client_count, sizeof(*load.clients));
	if (load.clients == NULL)
		abort();
	for (unsigned kind = 0, slot = 0; kind < KINDS; kind++) {
		for (unsigned i = 0; i < load.slots[kind]; i++, slot++) {
			load.clients[slot].request.kind = kind;
			client_begin(&load.clients[slot]);
		}
	}
}

void server_accept(void)
{
	int fd;

	while ((fd = accept4(load.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		struct end *end = calloc(1, sizeof(*end));
		int one = 1;

		if (end == NULL)
			abort();
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		end->fd = fd;
		end->server = true;
		interest_update(end);
	}
}

int64_t client_worst(unsigned slot)
{
	return load.clients[slot].request.kind == PING ? load.clients[slot].worst : -1;
}

void clients_complain(void)
{
	for (unsigned slot = 0; slot < load.client_count; slot++)
		if (load.clients[slot].fd != -1)
			fail(&load.clients[slot], "no progress");
}
