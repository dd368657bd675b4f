/* load.c - clients and the server behind Holdfast in one process: every byte of every exchange is checked.
 *
 *   load --socket PATH --listen-fd FD --seconds S [--KIND N]... [--bulk-bytes B] [--think MS] [--seed X]
 *
 * Clients connect to the service's Unix socket; what Holdfast dials comes in at the inherited listening FD.
 * An exchange begins with a struct request; then each direction carries a pseudo-random stream that both
 * ends can derive at any offset, so a byte lost, doubled or out of order is seen where it comes out.
 * N slots per kind run one exchange after the other until S seconds are over; what runs then is finished.
 * Prints "running" when each slot has had its first byte (or its first exchange), at the end one line of
 * JSON; exits 0 only if nothing was lost or wrong and both ends counted the same.  A line on standard input
 * begins a new measurement of the longest round trip ("marks"), its end ends the load as if time were over.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STUCK INT64_C(20000000) /* microseconds without any progress */

struct load load = { .listener = -1, .seed = 1, .bulk_bytes = 16u << 20 };

const char *const kind_names[KINDS] = { "bulk", "ping", "ask", "half", "slow", "server-reset", "client-reset" };

static int64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

unsigned char *stream_at(unsigned char *to, uint64_t seed, bool from_server, uint64_t offset, size_t len)
{
	uint64_t word = offset / 8, base = mix(seed * 2 + from_server);
	size_t skip = (size_t)(offset % 8), at;

	for (at = 0; at < len + skip; at += 8) {
		uint64_t value = mix(base + word++);

		memcpy(to + at, &value, 8);
	}
	return to + skip;
}

uint64_t some_size(uint64_t seed, unsigned bits)
{
	uint64_t roll = mix(seed ^ 0x5ca1ab1e);

	return 1 + (mix(roll) & (((uint64_t)1 << (1 + roll % bits)) - 1));
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Median and worst of the longest round trip of each ping, in milliseconds. */
static void print_stalls(void)
{
	int64_t *worst = calloc(load.client_count + 1, sizeof(*worst));
	size_t count = 0;

	for (unsigned slot = 0; worst != NULL && slot < load.client_count; slot++)
		if ((worst[count] = client_worst(slot)) >= 0)
			count++;
	if (count > 0) {
		qsort(worst, count, sizeof(*worst), compare);
		printf(", \"stall_median_ms\": %.3f, \"stall_worst_ms\": %.3f", (double)worst[count / 2] / 1e3,
		    (double)worst[count - 1] / 1e3);
	}
	free(worst);
}

static void report(void)
{
	printf("{\"errors\": %u, \"backlog_full\": %u, \"bytes\": %" PRIu64 ", \"round_trips\": %" PRIu64,
	    load.errors, load.backlog_full, load.bytes, load.round_trips);
	for (unsigned kind = 0; kind < KINDS; kind++)
		if (load.slots[kind] > 0)
			printf(", \"%s\": %" PRIu64, kind_names[kind], load.done[0][kind]);
	print_stalls();
	fputs(", \"marks_ms\": [", stdout);
	for (unsigned i = 1; i <= load.marks; i++)
		printf("%s%.3f", i > 1 ? ", " : "", (double)load.mark[i] / 1e3);
	puts("]}");
}

/* What clients say is done must have been seen whole at the far end. */
static void compare_counts(void)
{
	for (unsigned kind = 0; kind < KINDS; kind++) {
		if (load.done[0][kind] == load.done[1][kind])
			continue;
		fprintf(stderr, "load: %s: clients ended %" PRIu64 " exchanges, the server %" PRIu64 "\n",
		    kind_names[kind], load.done[0][kind], load.done[1][kind]);
		load.errors++;
	}
}

static void read_marks(void)
{
	char text[256];
	ssize_t got = read(STDIN_FILENO, text, sizeof(text));

	if (got <= 0) {
		epoll_ctl(load.epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
		load.stop = load.now;
	}
	for (ssize_t i = 0; i < got; i++)
		if (text[i] == '\n' && load.marks + 1 < LOAD_MARKS)
			load.marks++;
}

static bool finished(void)
{
	if (load.errors > 0 && load.stop > load.now)
		load.stop = load.now;
	if (load.now >= load.stop && load.busy == 0 && load.server_ends == 0 && TAILQ_EMPTY(&load.sleepers))
		return true;
	if (load.now - load.progress < (load.errors > 0 ? STUCK / 10 : STUCK))
		return false;
	load.errors++;
	fprintf(stderr, "load: stuck: %u clients, %u at the server\n", load.busy, load.server_ends);
	clients_complain();
	return true;
}

static void run(void)
{
	struct epoll_event events[256];

	while (!finished()) {
		int64_t pause = sleepers_wake();
		int timeout = pause < 0 || pause > 100000 ? 100 : (int)((pause + 999) / 1000);
		int count = epoll_wait(load.epoll, events, 256, timeout);

		load.now = clock_now();
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL)
				server_accept();
			else if (events[i].data.ptr == &load)
				read_marks();
			else
				end_work(events[i].data.ptr, events[i].events);
		}
	}
}

static void watch(int fd, void *pointer)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = pointer };

	epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &event);
}

static int usage(void)
{
	fputs("usage: load --socket PATH --listen-fd FD --seconds S [--KIND N]...\n", stderr);
	return 2;
}

/* 0, or the exit code. */
static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "bulk", 1, NULL, BULK }, { "ping", 1, NULL, PING }, { "ask", 1, NULL, ASK },
		{ "half", 1, NULL, HALF }, { "slow", 1, NULL, SLOW }, { "server-reset", 1, NULL, SERVER_RESET },
		{ "client-reset", 1, NULL, CLIENT_RESET }, { "socket", 1, NULL, 's' }, { "listen-fd", 1, NULL, 'l' },
		{ "seconds", 1, NULL, 't' }, { "bulk-bytes", 1, NULL, 'b' }, { "think", 1, NULL, 'k' },
		{ "seed", 1, NULL, 'r' }, { NULL, 0, NULL, 0 }
	};
	double seconds = 1;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's': load.path = optarg; break;
		case 'l': load.listener = atoi(optarg); break;
		case 't': seconds = atof(optarg); break;
		case 'b': load.bulk_bytes = strtoull(optarg, NULL, 10); break;
		case 'k': load.think = (int64_t)(atof(optarg) * 1e3); break;
		case 'r': load.seed = strtoull(optarg, NULL, 10); break;
		case '?': return usage();
		default: load.slots[option] = (unsigned)atoi(optarg);
		}
	}
	if (load.path == NULL || load.listener == -1 || optind != argc)
		return usage();
	load.now = load.progress = clock_now();
	load.stop = load.now + (int64_t)(seconds * 1e6);
	return 0;
}

static void raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int main(int argc, char **argv)
{
	int bad = parse(argc, argv);

	if (bad != 0)
		return bad;
	raise_file_limit();
	TAILQ_INIT(&load.sleepers);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	fcntl(load.listener, F_SETFL, O_NONBLOCK);
	watch(load.listener, NULL);
	watch(STDIN_FILENO, &load);
	clients_begin();
	run();
	compare_counts();
	report();
	return load.errors == 0 ? 0 : 1;
}
