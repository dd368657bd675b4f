/* ask_client.c - the message clients' connections. */
#include "ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK     65536u
#define TELL_MOST 65536u /* bytes written ahead where no reply holds a client back */

static void bytes_room(struct bytes *bytes, size_t length)
{
	if (bytes->begin == bytes->end)
		bytes->begin = bytes->end = 0;
	if (bytes->end + length < bytes->size)
		return;
	if (bytes->begin > 0) {
		memmove(bytes->at, bytes->at + bytes->begin, bytes->end - bytes->begin);
		bytes->end -= bytes->begin;
		bytes->begin = 0;
	}
	if (bytes->end + length < bytes->size)
		return;
	bytes->size = (bytes->end + length) * 2;
	bytes->at = realloc(bytes->at, bytes->size);
	if (bytes->at == NULL)
		abort();
}

void bytes_append(struct bytes *bytes, const char *from, size_t length)
{
	bytes_room(bytes, length);
	memcpy(bytes->at + bytes->end, from, length);
	bytes->end += length;
}

void bytes_print(struct bytes *bytes, const char *format, ...)
{
	va_list arguments;

	bytes_room(bytes, 512);
	va_start(arguments, format);
	bytes->end += (size_t)vsnprintf(bytes->at + bytes->end, 512, format, arguments);
	va_end(arguments);
}

static size_t bytes_length(const struct bytes *bytes)
{
	return bytes->end - bytes->begin;
}

static int connect_to_service(void)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)ask.port) };
	int fd = socket(ask.path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	int done;

	if (ask.path != NULL) {
		strncpy(local.sun_path, ask.path, sizeof(local.sun_path) - 1);
		done = connect(fd, (struct sockaddr *)&local, sizeof(local));
	} else {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		done = connect(fd, (struct sockaddr *)&loopback, sizeof(loopback));
	}
	if (done == 0 || errno == EINPROGRESS)
		return fd;
	done = -errno;
	close(fd);
	return done;
}

static void seen(struct client *client)
{
	if (client->seen)
		return;
	client->seen = true;
	if (--ask.unseen == 0) {
		puts("running");
		fflush(stdout);
	}
}

static void disconnect(struct client *client)
{
	close(client->fd);
	client->fd = -1;
	client->in.begin = client->in.end = client->out.begin = client->out.end = 0;
	ask.unconnected++;
}

static void finish(struct client *client)
{
	if (client->fd != -1)
		disconnect(client);
	ask.unconnected--;
	client->done = true;
	ask.busy--;
	seen(client);
}

/* The connection has ended, and not by us. */
static void client_lost(struct client *client, const char *why)
{
	if (client->deaf) {
		ask.deaf_closed++;
		finish(client);
		return;
	}
	ask.lost++;
	if (!ask.lost_ok)
		complain(client, "the connection was lost: %s; %u answers outstanding", why, client->waiting);
	finish(client);
}

static bool may_ask(const struct client *client)
{
	if (client->done || client->fd == -1 || !ask.mode->asks || ask.now >= ask.stop || ask.wrong > 0)
		return false;
	if (client->limit > 0 && client->asked >= client->limit)
		return false;
	if (ask.visit > 0 && client->visit_left == 0)
		return false;
	return ask.rate == 0 || client->asked * ask.count + client->number <
	    (uint64_t)((double)(ask.now - ask.begin) * (double)ask.rate / 1e6); /* each has its turn */
}

static void interest_update(struct client *client)
{
	uint32_t interest = client->deaf ? 0 : EPOLLIN;
	struct epoll_event event = { .data.ptr = client };

	if (bytes_length(&client->out) > 0 || (!ask.mode->hears && may_ask(client)))
		interest |= EPOLLOUT;
	if (interest == client->interest)
		return;
	event.events = client->interest = interest;
	epoll_ctl(ask.epoll, EPOLL_CTL_MOD, client->fd, &event);
}

static bool has_room(const struct client *client)
{
	return ask.mode->hears ? client->waiting < ask.depth : bytes_length(&client->out) < TELL_MOST;
}

static void fill(struct client *client)
{
	while (has_room(client) && may_ask(client)) {
		struct question *question = &client->questions[(client->first + client->waiting) % ask.depth];

		question->since = ask.now;
		ask.mode->ask(client, question);
		client->waiting += ask.mode->hears;
		client->asked++;
		ask.asked++;
		client->visit_left -= ask.visit > 0;
	}
}

/* As much as is there, or, to be hostile, a part that ends anywhere. */
static size_t piece(size_t length)
{
	uint64_t roll = ask_random();

	if (!ask.split || roll % 4 == 0)
		return length;
	roll /= 4;
	return 1 + (size_t)(roll / 2 % (roll & 1 ? 12 : length)) % length;
}

/* False: the connection is gone. */
static bool transmit(struct client *client)
{
	while (bytes_length(&client->out) > 0) {
		size_t length = piece(bytes_length(&client->out));
		ssize_t put = send(client->fd, client->out.at + client->out.begin, length, MSG_NOSIGNAL);

		if (put == -1) {
			if (errno == EAGAIN || errno == ENOTCONN)
				return true;
			client_lost(client, strerror(errno));
			return false;
		}
		client->out.begin += (size_t)put;
		ask.progress = ask.now;
		if (ask.split)
			return true;
	}
	return true;
}

/* All that was asked has been answered.  True: the client is done or connects anew. */
static bool rest(struct client *client)
{
	bool over;

	if (bytes_length(&client->out) > 0 || client->deaf)
		return false;
	over = ask.now >= ask.stop || ask.wrong > 0 || (client->limit > 0 && client->asked >= client->limit);
	if (client->leaver && ask.visit > 0 && client->visit_left == 0 && !over) {
		client->waiting = 0; /* whoever gets these answers now is wrong */
	} else if (client->waiting > 0 || !ask.mode->asks) {
		if (ask.mode->asks || !over)
			return false;
	}
	if (over && ask.half_close) {
		if (!client->shut)
			shutdown(client->fd, SHUT_WR);
		client->shut = true;
		return false; /* until the other side ends too */
	}
	if (over) {
		finish(client);
		return true;
	}
	if (ask.visit == 0 || client->visit_left > 0)
		return false;
	disconnect(client);
	ask.visits++;
	return true;
}

static bool is_tolerated(const char *reply, size_t length)
{
	size_t expected = ask.error == NULL ? 0 : strlen(ask.error);

	if (expected == 0 || length < expected || memcmp(reply, ask.error, expected) != 0)
		return false;
	return strspn(reply + expected, "\r\n") >= length - expected;
}

/* False: it was wrong. */
static bool answered(struct client *client, const char *reply, size_t length)
{
	struct question *question = &client->questions[client->first];

	if (ask.mode->asks && client->waiting == 0) {
		complain(client, "was answered without asking: %.*s", length > 60 ? 60 : (int)length, reply);
		return false;
	}
	if (ask.mode->asks && is_tolerated(reply, length)) {
		ask.tolerated++;
		ask.mode->lost(client, question);
	} else if (!ask.mode->right(client, question, reply, length)) {
		complain(client, "question %d number %" PRIu64 ": wrong answer %.*s", (int)question->kind,
		    question->n, length > 300 ? 300 : (int)length, reply);
		return false;
	} else {
		ask.right++;
		client->heard++;
		figures_right(ask.mode->asks ? ask.now - question->since : 0);
		seen(client);
	}
	if (ask.mode->asks) {
		client->first = (client->first + 1) % ask.depth;
		client->waiting--;
	}
	return true;
}

/* Looks at what has come.  False: the client is finished. */
static bool judge(struct client *client)
{
	while (bytes_length(&client->in) > 0) {
		const char *reply = client->in.at + client->in.begin;
		ssize_t length = ask.mode->length(reply, bytes_length(&client->in));

		if (length == 0)
			return true;
		if (length < 0)
			complain(client, "malformed: %.*s", 100, reply);
		if (length < 0 || !answered(client, reply, (size_t)length)) {
			finish(client);
			return false;
		}
		client->in.begin += (size_t)length;
		if (!ask.mode->asks && client->limit > 0 && client->heard >= client->limit) {
			finish(client);
			return false;
		}
	}
	return true;
}

/* False: the connection is gone. */
static bool receive(struct client *client)
{
	ssize_t got;

	bytes_room(&client->in, CHUNK);
	got = recv(client->fd, client->in.at + client->in.end, CHUNK, 0);
	if (got == -1 && errno == EAGAIN)
		return true;
	if (got <= 0) {
		if (got == 0 && client->shut && client->waiting == 0 && bytes_length(&client->in) == 0)
			finish(client);
		else
			client_lost(client, got == 0 ? "end of file" : strerror(errno));
		return false;
	}
	client->in.end += (size_t)got;
	client->in.at[client->in.end] = '\0';
	ask.progress = ask.now;
	return judge(client);
}

void client_work(struct client *client, uint32_t events)
{
	if (client->fd == -1)
		return;
	if (client->deaf) {
		if (events & (EPOLLHUP | EPOLLERR))
			client_lost(client, "");
		return;
	}
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !receive(client))
		return;
	fill(client);
	if (!transmit(client) || rest(client))
		return;
	interest_update(client);
}

static void client_connect(struct client *client)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
	int fd = connect_to_service();

	if (fd == -EAGAIN)
		return; /* the backlog is full */
	if (fd < 0) {
		client_lost(client, strerror(-fd));
		return;
	}
	ask.unconnected--;
	client->fd = fd;
	client->waiting = 0;
	client->visit_left = client->leaver && ask.visit > 0 ? 1 + ask_random() % ask.visit : ask.visit;
	client->interest = client->deaf ? 0 : EPOLLIN;
	event.events = client->interest;
	epoll_ctl(ask.epoll, EPOLL_CTL_ADD, fd, &event);
	if (client->deaf || !ask.mode->asks || !ask.mode->hears)
		seen(client);
	client_work(client, 0);
}

void clients_again(void)
{
	bool all = ask.rate > 0 || ask.now >= ask.stop || ask.wrong > 0;

	for (unsigned number = 0; number < ask.count && (all || ask.unconnected > 0); number++) {
		struct client *client = &ask.clients[number];

		if (client->done)
			continue;
		if (client->deaf && all && ask.now >= ask.stop)
			finish(client);
		else if (client->fd != -1)
			client_work(client, 0);
		else if (ask.now >= ask.stop)
			finish(client);
		else
			client_connect(client);
	}
}

void clients_begin(void)
{
	ask.clients = calloc(ask.count, sizeof(*ask.clients));
	if (ask.clients == NULL)
		abort();
	ask.busy = ask.unseen = ask.unconnected = ask.count;
	for (unsigned number = 0; number < ask.count; number++) {
		struct client *client = &ask.clients[number];

		client->number = number;
		client->fd = -1;
		client->leaver = number < ask.leavers;
		client->deaf = number >= ask.count - ask.deaf;
		client->questions = calloc(ask.depth, sizeof(*client->questions));
	}
}

void clients_complain(void)
{
	for (unsigned number = 0; number < ask.count; number++)
		if (!ask.clients[number].done)
			complain(&ask.clients[number], "no progress: %u answers outstanding, %zu bytes unsent",
			    ask.clients[number].waiting, bytes_length(&ask.clients[number].out));
}
