/* work_client.c - the near end of the bench. */
#include "work.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SAMPLES  (1u << 20)
#define PATIENCE INT64_C(20000000000) /* nanoseconds that a connection's first answer may take */

struct line {
	int fd;
	uint32_t got;
	int64_t since;
};

static struct {
	enum work_kind kind;
	uint32_t size;
	char address[108]; /* a path, or the port of 127.0.0.1 */
	struct line *lines;
	unsigned count, busy;
	int polled;
	int64_t stop;
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

static int
line_connect_tcp(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == -1)
		die("connect");
	return fd;
}

static int
line_connect(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (work.address[0] != '/')
		return line_connect_tcp(atoi(work.address));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(to.sun_path, work.address, sizeof to.sun_path);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == -1)
		die("connect");
	return fd;
}

static void
line_watch(struct line *line, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = line };

	epoll_ctl(work.polled, operation, line->fd, &event);
}

static void
line_send(struct line *line)
{
	line->since = work_now();
	if (send(line->fd, bytes, work.size, MSG_NOSIGNAL) != (ssize_t)work.size)
		die("send");
}

static void
line_open(struct line *line)
{
	struct work_hello hello = { (uint32_t)work.kind, work.size };

	line->since = work_now();
	line->fd = line_connect();
	line->got = 0;
	line_watch(line, EPOLL_CTL_ADD, EPOLLIN);
	memcpy(bytes, &hello, sizeof hello);
	line_send(line);
	work.busy++;
}

static void
line_sample(struct line *line, int64_t now)
{
	work.units++;
	if (work.sampled < SAMPLES)
		work.samples[work.sampled++] = (uint32_t)(now - line->since);
}

/* An answer is whole: the next question, or rest. */
static void
line_answered(struct line *line)
{
	int64_t now = work_now();

	line_sample(line, now);
	line->got = 0;
	work.busy--;
	if (work.kind == WORK_ASK) {
		close(line->fd);
		line->fd = -1;
	}
	if (now >= work.stop)
		return;
	if (work.kind == WORK_ASK) {
		line_open(line);
		return;
	}
	line_send(line);
	work.busy++;
}

static void
line_work(struct line *line, uint32_t events)
{
	ssize_t n;

	if (events & EPOLLIN) {
		n = recv(line->fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			die("the connection was closed");
		work.bytes += n > 0 ? (uint64_t)n : 0;
		line->got += n > 0 ? (uint32_t)n : 0;
		if (work.kind != WORK_DOWN && work.kind != WORK_UP && line->got >= work.size)
			line_answered(line);
	} else if (events & EPOLLOUT) {
		n = send(line->fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
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
		line_work(events[i].data.ptr, events[i].events);
}

/* open KIND COUNT SIZE ADDRESS: all connections are made, and but for up and down have had an answer. */
static void
work_open(const char *words)
{
	int64_t limit = work_now() + PATIENCE;
	unsigned kind;

	if (sscanf(words, "%u %u %u %107s", &kind, &work.count, &work.size, work.address) != 4 || kind >= WORK_KINDS ||
	    work.size < sizeof(struct work_hello) || work.size > sizeof bytes)
		die("bad command");
	work.kind = (enum work_kind)kind;
	work.polled = epoll_create1(EPOLL_CLOEXEC);
	work.lines = calloc(work.count, sizeof *work.lines);
	work.busy = 0;
	work.stop = 0;
	for (unsigned i = 0; i < work.count; i++)
		line_open(&work.lines[i]);
	while (work.kind != WORK_UP && work.kind != WORK_DOWN && work.busy > 0) {
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
	double seconds = (double)(work_now() - begin) / 1e9, p50 = 0, p99 = 0;

	if (work.sampled > 0) {
		qsort(work.samples, work.sampled, sizeof *work.samples, compare);
		p50 = work.samples[work.sampled / 2] / 1e3;
		p99 = work.samples[work.sampled * 99 / 100] / 1e3;
	}
	printf("{\"seconds\": %.6f, \"units\": %llu, \"bytes\": %llu, \"p50_us\": %.2f, \"p99_us\": %.2f}\n", seconds,
	    (unsigned long long)work.units, (unsigned long long)work.bytes, p50, p99);
}

/* run MILLISECONDS: works, and says what was done. */
static void
work_run(const char *words)
{
	int64_t begin = work_now();

	work.units = work.bytes = work.sampled = 0;
	work.stop = begin + atoi(words) * INT64_C(1000000);
	for (unsigned i = 0; i < work.count; i++) {
		struct line *line = &work.lines[i];

		if (work.kind == WORK_UP)
			line_watch(line, EPOLL_CTL_MOD, EPOLLOUT);
		else if (work.kind == WORK_PING)
			line_send(line), work.busy++;
		else if (work.kind == WORK_ASK)
			line_open(line);
	}
	while (work_now() < work.stop || work.busy > (work.kind == WORK_UP || work.kind == WORK_DOWN ? work.count : 0))
		work_turn();
	work_report(begin);
	for (unsigned i = 0; i < work.count && work.kind == WORK_UP; i++)
		line_watch(&work.lines[i], EPOLL_CTL_MOD, 0);
}

static void
work_close(void)
{
	for (unsigned i = 0; i < work.count; i++)
		if (work.lines[i].fd != -1)
			close(work.lines[i].fd);
	free(work.lines);
	close(work.polled);
	puts("closed");
}

int
work_command(void)
{
	char line[256];

	work.samples = calloc(SAMPLES, sizeof *work.samples);
	while (work.samples != NULL && fgets(line, sizeof line, stdin) != NULL) {
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
