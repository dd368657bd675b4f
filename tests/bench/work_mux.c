/* work_mux.c - the least that serves many Redis clients over one connection, for Holdfast to be compared with.
 *
 * One epoll loop and a queue of who is owed the next reply.  Nothing outlives the process, nothing is bounded or
 * judged, all messages are taken to be well formed, and the upstream connection to last.
 */
#include "work.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MUX_EVENTS 256

struct bytes {
	unsigned char *at;
	size_t head, tail, size;
};

struct client {
	int fd;
	bool gone;
	size_t owed;          /* replies that are to come */
	struct bytes in, out; /* what is not whole yet; what it did not take */
};

static int polled;
static struct bytes to_server, from_server;
static int server;
static struct client **owed; /* a ring, of a power of two */
static size_t owed_head, owed_tail, owed_size;

static size_t
bytes_length(const struct bytes *bytes)
{
	return bytes->tail - bytes->head;
}

/* Where so many bytes more may be written. */
static unsigned char *
bytes_room(struct bytes *bytes, size_t want)
{
	if (bytes->head > 0) {
		memmove(bytes->at, bytes->at + bytes->head, bytes_length(bytes));
		bytes->tail -= bytes->head;
		bytes->head = 0;
	}
	if (bytes->size - bytes->tail < want) {
		bytes->size = bytes->tail + want + WORK_CHUNK;
		if ((bytes->at = realloc(bytes->at, bytes->size)) == NULL)
			abort();
	}
	return bytes->at + bytes->tail;
}

static void
bytes_append(struct bytes *bytes, const unsigned char *from, size_t length)
{
	if (length == 0)
		return;
	memcpy(bytes_room(bytes, length), from, length);
	bytes->tail += length;
}

static void
mux_watch(int operation, int fd, uint32_t events, void *mark)
{
	struct epoll_event event = { .events = events, .data.ptr = mark };

	epoll_ctl(polled, operation, fd, &event);
}

/* The number of the line, and what is behind it; NULL if it is not whole. */
static const unsigned char *
message_number(const unsigned char *at, const unsigned char *end, long *ret_number)
{
	const unsigned char *line_end = memchr(at, '\n', (size_t)(end - at));

	if (line_end != NULL)
		*ret_number = strtol((const char *)at + 1, NULL, 10);
	return line_end == NULL ? NULL : line_end + 1;
}

/* Bytes of the first message, request or reply; 0 if it is not whole. */
static size_t
message_length(const unsigned char *begin, size_t length)
{
	const unsigned char *at = begin, *end = begin + length;
	long number;

	for (long pending = 1; pending > 0; pending--) {
		unsigned char type = at < end ? *at : '\0';

		if (at >= end || (at = message_number(at, end, &number)) == NULL)
			return 0;
		if (type == '*' && number > 0)
			pending += number;
		else if (type == '$' && number >= 0)
			at += number + 2;
	}
	return at > end ? 0 : (size_t)(at - begin);
}

static void
owed_push(struct client *client)
{
	size_t old = owed_size;

	if (owed_tail - owed_head == owed_size) {
		struct client **ring = calloc(owed_size = old == 0 ? 1024 : old * 2, sizeof *ring);

		if (ring == NULL)
			abort();
		for (size_t i = owed_head; i != owed_tail; i++)
			ring[i & (owed_size - 1)] = owed[i & (old - 1)];
		free(owed);
		owed = ring;
	}
	owed[owed_tail++ & (owed_size - 1)] = client;
	client->owed++;
}

static void
client_free_if_through(struct client *client)
{
	if (!client->gone || client->owed > 0)
		return;
	free(client->in.at);
	free(client->out.at);
	free(client);
}

static void
client_end(struct client *client)
{
	close(client->fd);
	client->gone = true;
	client_free_if_through(client);
}

/* The whole messages go to the server's bytes; how many bytes that are. */
static size_t
client_move(struct client *client, const unsigned char *from, size_t length)
{
	size_t moved = 0, message;

	while ((message = message_length(from + moved, length - moved)) > 0) {
		owed_push(client);
		moved += message;
	}
	bytes_append(&to_server, from, moved);
	return moved;
}

static void
client_read(struct client *client)
{
	static unsigned char fresh[WORK_CHUNK];
	ssize_t got = recv(client->fd, fresh, sizeof fresh, 0);
	size_t moved;

	if (got == 0 || (got == -1 && errno != EAGAIN)) {
		client_end(client);
		return;
	}
	if (got == -1)
		return;
	if (bytes_length(&client->in) == 0) {
		moved = client_move(client, fresh, (size_t)got);
		bytes_append(&client->in, fresh + moved, (size_t)got - moved);
	} else {
		bytes_append(&client->in, fresh, (size_t)got);
		client->in.head += client_move(client, client->in.at + client->in.head, bytes_length(&client->in));
	}
}

static void
client_write(struct client *client)
{
	ssize_t sent = send(client->fd, client->out.at + client->out.head, bytes_length(&client->out), MSG_NOSIGNAL);

	if (sent > 0)
		client->out.head += (size_t)sent;
	if (bytes_length(&client->out) == 0)
		mux_watch(EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
}

static void
client_give(struct client *client, const unsigned char *from, size_t length)
{
	ssize_t sent = 0;

	if (client->gone)
		return;
	if (bytes_length(&client->out) == 0 && (sent = send(client->fd, from, length, MSG_NOSIGNAL)) == -1)
		sent = 0;
	if ((size_t)sent == length)
		return;
	bytes_append(&client->out, from + sent, length - (size_t)sent);
	mux_watch(EPOLL_CTL_MOD, client->fd, EPOLLIN | EPOLLOUT, client);
}

static void
server_write(void)
{
	static bool watched;
	ssize_t sent;

	if (bytes_length(&to_server) == 0)
		return;
	sent = send(server, to_server.at + to_server.head, bytes_length(&to_server), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0)
		to_server.head += (size_t)sent;
	if (watched != (bytes_length(&to_server) > 0)) {
		watched = !watched;
		mux_watch(EPOLL_CTL_MOD, server, watched ? EPOLLIN | EPOLLOUT : EPOLLIN, &server);
	}
}

/* Replies in a row to one client, in one piece; false if the first is not whole. */
static bool
server_hand_out(void)
{
	const unsigned char *from = from_server.at + from_server.head;
	struct client *client = owed_head == owed_tail ? NULL : owed[owed_head & (owed_size - 1)];
	size_t length = 0, message;

	while (owed_head != owed_tail && owed[owed_head & (owed_size - 1)] == client &&
	    (message = message_length(from + length, bytes_length(&from_server) - length)) > 0) {
		length += message;
		owed_head++;
		client->owed--;
	}
	if (length == 0)
		return false;
	client_give(client, from, length);
	client_free_if_through(client);
	from_server.head += length;
	return true;
}

static void
server_work(uint32_t events)
{
	ssize_t got;

	if (events & EPOLLOUT)
		server_write();
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	got = recv(server, bytes_room(&from_server, 4 * WORK_CHUNK), 4 * WORK_CHUNK, MSG_DONTWAIT);
	if (got == 0 || (got == -1 && errno != EAGAIN))
		exit(1);
	if (got > 0)
		from_server.tail += (size_t)got;
	while (server_hand_out())
		continue;
}

static void
mux_accept(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		struct client *client = calloc(1, sizeof *client);

		if (client == NULL)
			abort();
		client->fd = fd;
		mux_watch(EPOLL_CTL_ADD, fd, EPOLLIN, client);
	}
}

static int
mux_listen(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strncpy(name.sun_path, path, sizeof name.sun_path - 1);
	unlink(path);
	umask(0);
	if (bind(fd, (const void *)&name, sizeof name) == -1 || listen(fd, 4096) == -1)
		abort();
	return fd;
}

static int
mux_connect(uint16_t port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (connect(fd, (const void *)&name, sizeof name) == -1)
		abort();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

int
work_mux(const char *path, uint16_t port)
{
	struct epoll_event events[MUX_EVENTS];
	int listener, count;

	polled = epoll_create1(EPOLL_CLOEXEC);
	server = mux_connect(port);
	listener = mux_listen(path);
	mux_watch(EPOLL_CTL_ADD, server, EPOLLIN, &server);
	mux_watch(EPOLL_CTL_ADD, listener, EPOLLIN, &listener);
	for (;;) {
		count = epoll_wait(polled, events, MUX_EVENTS, -1);
		for (int i = 0; i < count; i++) {
			struct client *client = events[i].data.ptr;

			if (events[i].data.ptr == &server) {
				server_work(events[i].events);
			} else if (events[i].data.ptr == &listener) {
				mux_accept(listener);
			} else {
				if ((events[i].events & EPOLLOUT) && bytes_length(&client->out) > 0)
					client_write(client);
				if (events[i].events & ~(uint32_t)EPOLLOUT)
					client_read(client);
			}
		}
		server_write();
	}
}
