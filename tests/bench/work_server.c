/* work_server.c - the far end of the bench: answers, swallows or pours. */
#include "work.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
	int fd;
	bool greeted;
	struct work_hello hello;
	uint32_t got; /* of the message under way */
};

static unsigned char bytes[WORK_CHUNK];
static int polled;

static void
peer_close(struct peer *peer)
{
	close(peer->fd);
	free(peer);
}

static void
peer_watch(struct peer *peer, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = peer };

	epoll_ctl(polled, operation, peer->fd, &event);
}

static void
peer_greet(struct peer *peer, size_t got)
{
	if (got < sizeof peer->hello)
		abort(); /* it comes in one piece, as it was sent */
	memcpy(&peer->hello, bytes, sizeof peer->hello);
	if (peer->hello.kind >= WORK_KINDS || peer->hello.size > sizeof bytes)
		abort();
	peer->greeted = true;
	if (peer->hello.kind == WORK_DOWN)
		peer_watch(peer, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void
peer_answer(struct peer *peer, size_t got)
{
	peer->got += (uint32_t)got;
	if (peer->hello.kind == WORK_UP || peer->hello.kind == WORK_DOWN || peer->got < peer->hello.size)
		return;
	peer->got -= peer->hello.size;
	if (send(peer->fd, bytes, peer->hello.size, MSG_NOSIGNAL) == -1 && errno == EAGAIN)
		abort(); /* one message at a time always has room */
}

static void
peer_work(struct peer *peer, uint32_t events)
{
	ssize_t got;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		got = recv(peer->fd, bytes, sizeof bytes, 0);
		if (got == 0 || (got == -1 && errno != EAGAIN)) {
			peer_close(peer);
			return;
		}
		if (got > 0 && !peer->greeted)
			peer_greet(peer, (size_t)got);
		if (got > 0)
			peer_answer(peer, (size_t)got);
	}
	if ((events & EPOLLOUT) && peer->greeted && send(peer->fd, bytes, sizeof bytes, MSG_NOSIGNAL) == -1 &&
	    errno != EAGAIN)
		peer_close(peer);
}

static void
server_accept(int listener)
{
	int fd, on = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		struct peer *peer = calloc(1, sizeof *peer);

		if (peer == NULL)
			abort();
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		peer->fd = fd;
		peer_watch(peer, EPOLL_CTL_ADD, EPOLLIN);
	}
}

static void
server_watch(int fd, void *mark)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = mark };

	epoll_ctl(polled, EPOLL_CTL_ADD, fd, &event);
}

int
work_serve(int listener)
{
	static int end_mark, accept_mark;
	struct epoll_event events[64];
	int count;

	polled = epoll_create1(EPOLL_CLOEXEC);
	server_watch(listener, &accept_mark);
	server_watch(STDIN_FILENO, &end_mark);
	for (;;) {
		count = epoll_wait(polled, events, 64, -1);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &end_mark)
				return 0;
			if (events[i].data.ptr == &accept_mark)
				server_accept(listener);
			else
				peer_work(events[i].data.ptr, events[i].events);
		}
	}
}
