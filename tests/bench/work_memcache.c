/* work_memcache - clients of memcached, each with so many operations at a time, as redis-benchmark is for Redis. */
#include "work.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY       "key:000000000042"
#define SET       "set " KEY " 0 0 3\r\nxxx\r\n"
#define GET       "get " KEY "\r\n"
#define SAMPLES   (1u << 20)
#define DEPTH_MOST 64

struct client {
	int fd;
	size_t got;
	int64_t since;
};

static struct {
	char text[DEPTH_MOST * sizeof SET];
	size_t length;          /* of all requests of a client's turn */
	const char *reply;
	size_t awaited;         /* bytes of all their replies */
	unsigned depth;
	uint64_t left, done;    /* operations to be asked, and answered */
	uint32_t *samples;      /* nanoseconds of a turn */
	size_t sampled;
} load;

static void
die(const char *what)
{
	fprintf(stderr, "work: memcache: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
client_ask(struct client *client)
{
	if (load.left < load.depth)
		return;
	load.left -= load.depth;
	client->got = 0;
	client->since = work_now();
	if (send(client->fd, load.text, load.length, MSG_NOSIGNAL) != (ssize_t)load.length)
		die("send");
}

static void
client_hear(struct client *client)
{
	char bytes[DEPTH_MOST * 64];
	ssize_t n = recv(client->fd, bytes, sizeof bytes, 0);
	size_t length = strlen(load.reply);

	if (n <= 0)
		die("the connection was closed");
	for (size_t i = 0; i < (size_t)n; i++)
		if (bytes[i] != load.reply[(client->got + i) % length])
			die("a wrong answer");
	client->got += (size_t)n;
	if (client->got < load.awaited)
		return;
	load.done += load.depth;
	if (load.sampled < SAMPLES)
		load.samples[load.sampled++] = (uint32_t)(work_now() - client->since);
	client_ask(client);
}

/* The key has its value. */
static void
load_prepare(const char *address)
{
	int fd = work_connect(address);
	char answer[16];

	if (send(fd, SET, strlen(SET), MSG_NOSIGNAL) == -1 || recv(fd, answer, 8, MSG_WAITALL) != 8 ||
	    memcmp(answer, "STORED\r\n", 8) != 0)
		die("set");
	close(fd);
}

static void
load_begin(bool set, unsigned depth, uint64_t count)
{
	load.reply = set ? "STORED\r\n" : "VALUE " KEY " 0 3\r\nxxx\r\nEND\r\n";
	load.depth = depth;
	load.left = count;
	for (unsigned i = 0; i < depth; i++)
		strcat(load.text, set ? SET : GET);
	load.length = strlen(load.text);
	load.awaited = depth * strlen(load.reply);
	load.samples = calloc(SAMPLES, sizeof *load.samples);
	if (load.samples == NULL)
		die("no memory");
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
load_report(int64_t begin)
{
	double seconds = (double)(work_now() - begin) / 1e9;

	qsort(load.samples, load.sampled, sizeof *load.samples, compare);
	printf("{\"rate\": %.1f, \"p50\": %.2f, \"p99\": %.2f}\n", (double)load.done / seconds,
	    load.samples[load.sampled / 2] / 1e3, load.samples[load.sampled * 99 / 100] / 1e3);
}

int
work_memcache(const char *address, const char *command, unsigned count, unsigned depth, uint64_t operations)
{
	struct client *clients = calloc(count, sizeof *clients);
	int polled = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[64];
	int64_t begin;

	if (clients == NULL || depth == 0 || depth > DEPTH_MOST || count == 0 || operations < count * depth)
		die("bad command");
	load_prepare(address);
	load_begin(strcmp(command, "set") == 0, depth, operations / depth * depth);
	begin = work_now();
	for (unsigned i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &clients[i] };

		clients[i].fd = work_connect(address);
		epoll_ctl(polled, EPOLL_CTL_ADD, clients[i].fd, &event);
		client_ask(&clients[i]);
	}
	while (load.done < operations / depth * depth) {
		int ready = epoll_wait(polled, events, 64, 20000);

		if (ready == 0)
			die("no answer");
		for (int i = 0; i < ready; i++)
			client_hear(events[i].data.ptr);
	}
	load_report(begin);
	return 0;
}
