/* work_client.connection - the near end of the bench. */
#include "work.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SAMPLES  (1u << 20)
#define PATIENCE INT64_C(20000000000) /* nanoseconds that a connection's first answer may take */

struct connection {
	int fd;
	uint32_t got;
	int64_t since;
};

static struct {
	enum work_kind kind;
	uint32_t size;
	char address[108]; /* a path, or the port of 127.0.0.1 */
	struct connection *connections;
	unsigned count, busy;
	int polled;
	int64_t stop;
	unsigned pause; /* microseconds before a connection after the first */
	uint64_t units, bytes;
	uint32_t *samples; /* nanoseconds */
	size_t sampled;
} work;

static unsigned char bytes[WORK_CHUNK];

static void
die(const char *what)
{
	fprintf(stderr, "work: %s %s: %s\n", what, work.address, strerror(errno));
	exit(1);
}

/* Bytes flow without questions and answers. */
static bool
work_is_bulk(void)
{
	return work.kind == WORK_UP || work.kind == WORK_DOWN;
}

static int
connect_tcp(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == -1)
		die("connect");
	return fd;
}

int
work_connect(const char *address)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (address[0] != '/')
		return connect_tcp(atoi(address));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(to.sun_path, sizeof to.sun_path, "%s", address);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == -1)
		die("connect");
	return fd;
}

static void
connection_watch(struct connection *connection, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = connection };

	epoll_ctl(work.polled, operation, connection->fd, &event);
}

static void
connection_send(struct connection *connection)
{
	connection->since = work_now();
	if (send(connection->fd, bytes, work.size, MSG_NOSIGNAL) != (ssize_t)work.size)
		die("send");
}

static void
connection_ask(struct connection *connection)
{
	connection_send(connection);
	work.busy++;
}

static void
connection_open(struct connection *connection)
{
	struct work_hello hello = { (uint32_t)work.kind, work.size };

	connection->since = work_now();
	connection->fd = work_connect(work.address);
	connection->got = 0;
	connection_watch(connection, EPOLL_CTL_ADD, EPOLLIN);
	memcpy(bytes, &hello, sizeof hello);
	connection_ask(connection);
}

static void
connection_sample(struct connection *connection, int64_t now)
{
	work.units++;
	if (work.sampled < SAMPLES)
		work.samples[work.sampled++] = (uint32_t)(now - connection->since);
}

/* An answer is whole: the next question, or rest. */
static void
connection_answered(struct connection *connection)
{
	int64_t now = work_now();

	connection_sample(connection, now);
	connection->got = 0;
	work.busy--;
	if (work.kind == WORK_ASK) {
		close(connection->fd);
		connection->fd = -1;
	}
	if (now >= work.stop)
		return;
	if (work.kind == WORK_ASK) {
		if (work.pause > 0)
			usleep(work.pause);
		connection_open(connection);
		return;
	}
	connection_ask(connection);
}

static void
connection_work(struct connection *connection, uint32_t events)
{
	ssize_t n;

	if (events & EPOLLIN) {
		n = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			die("the connection was closed");
		work.bytes += n > 0 ? (uint64_t)n : 0;
		connection->got += n > 0 ? (uint32_t)n : 0;
		if (!work_is_bulk() && connection->got >= work.size)
			connection_answered(connection);
	} else if (events & EPOLLOUT) {
		n = send(connection->fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno != EAGAIN)
			die("send");
		work.bytes += n > 0 ? (uint64_t)n : 0;
	}
}

static void
work_turn(void)
{
	struct epoll_event events[64];
	int count = epoll_wait(work.polled, events, 64, 100);

	for (int i = 0; i < count; i++)
		connection_work(events[i].data.ptr, events[i].events);
}

/* open KIND COUNT SIZE ADDRESS: all connections are made, and but for up and down have had an answer. */
static void
work_open(const char *words)
{
	int64_t limit = work_now() + PATIENCE;
	unsigned kind;

	if (sscanf(words, "%u %u %u %107s", &kind, &work.count, &work.size, work.address) != 4 ||
	    kind >= WORK_KINDS || work.size < sizeof(struct work_hello) || work.size > sizeof bytes)
		die("bad command");
	work.kind = (enum work_kind)kind;
	work.polled = epoll_create1(EPOLL_CLOEXEC);
	work.connections = calloc(work.count, sizeof *work.connections);
	if (work.connections == NULL)
		die("no memory");
	work.busy = 0;
	work.stop = 0;
	for (unsigned i = 0; i < work.count; i++)
		connection_open(&work.connections[i]);
	while (!work_is_bulk() && work.busy > 0) {
		if (work_now() > limit)
			die("no answer from");
		work_turn();
	}
	puts("ready");
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
work_report(int64_t begin)
{
	double seconds = (double)(work_now() - begin) / 1e9, p50 = 0;

	if (work.sampled > 0) {
		qsort(work.samples, work.sampled, sizeof *work.samples, compare);
		p50 = work.samples[work.sampled / 2] / 1e3;
	}
	printf("{\"seconds\": %.6f, \"units\": %llu, \"bytes\": %llu, \"p50_us\": %.2f}\n", seconds,
	    (unsigned long long)work.units, (unsigned long long)work.bytes, p50);
}

/* run MILLISECONDS [PAUSE]: works, and says what was done. */
static void
work_run(const char *words)
{
	int64_t begin = work_now();
	int milliseconds;

	work.units = work.bytes = work.sampled = 0;
	work.pause = 0;
	if (sscanf(words, "%d %u", &milliseconds, &work.pause) < 1)
		die("bad command");
	work.stop = begin + milliseconds * INT64_C(1000000);
	for (unsigned i = 0; i < work.count; i++) {
		struct connection *connection = &work.connections[i];

		if (work.kind == WORK_UP)
			connection_watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
		else if (work.kind == WORK_PING)
			connection_ask(connection);
		else if (work.kind == WORK_ASK)
			connection_open(connection);
	}
	while (work_now() < work.stop || work.busy > (work_is_bulk() ? work.count : 0))
		work_turn();
	work_report(begin);
	for (unsigned i = 0; i < work.count && work.kind == WORK_UP; i++)
		connection_watch(&work.connections[i], EPOLL_CTL_MOD, 0);
}

static void
work_close(void)
{
	for (unsigned i = 0; i < work.count; i++)
		if (work.connections[i].fd != -1)
			close(work.connections[i].fd);
	free(work.connections);
	close(work.polled);
	puts("closed");
}

int
work_command(void)
{
	char line[256];

	work.samples = calloc(SAMPLES, sizeof *work.samples);
	if (work.samples == NULL)
		die("no memory");
	while (fgets(line, sizeof line, stdin) != NULL) {
		if (strncmp(line, "open ", 5) == 0)
			work_open(line + 5);
		else if (strncmp(line, "run ", 4) == 0)
			work_run(line + 4);
		else if (strncmp(line, "close", 5) == 0)
			work_close();
		else
			die("bad command");
		fflush(stdout);
	}
	return 0;
}
