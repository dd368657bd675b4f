/* ask.c - clients that ask in messages, and check that each answer is their own.
 *
 *   ask --socket PATH|--port N --mode redis-own|redis-incr|line|tell|feed [OPTION...]
 *
 * redis-own    each client has keys of its own, values name client, key and number; --mix of set, get, mset, mget,
 *              lpush, lrange, echo
 * redis-incr   each client counts up a key PREFIX:CLIENT of its own: no answer may repeat or leave out a number
 * line         "CLIENT NUMBER text\n", answered by the same line, maybe with a word before it
 * tell         the same lines, and no answer
 * feed         hears "feed NUMBER text\n" without a gap; --deaf K of the clients never read; --ack N has the others
 *              say "ack CLIENT NUMBER\n" after each N messages
 *
 * --clients N, --depth N of the pipeline, --ops N of all clients (feed: N for each) or --seconds S, --rate N a
 * second, --value-bytes N at most, --seed X, --prefix NAME of keys
 * --error TEXT       a reply that is tolerated: its request may have been done or not
 * --again            requests may be done twice and seen early (so leave lpush out)
 * --forgets          the server forgets everything at times
 * --lost-ok          connections that are lost are counted only
 * --split            writes end anywhere
 * --half-close       no further request is said by shutdown(); all answers must still come, then the end
 * --visit N          a client connects anew after N operations
 * --leavers N        the first N clients leave with requests in flight (with --visit)
 * --patience S       without any progress (20)
 *
 * Prints "running" when each client has had an answer (tell, feed: is connected), at the end one line of JSON; exits
 * 0 only if no answer was wrong and no connection lost.  SIGTERM and SIGINT end it as if time were over: nothing
 * further is asked, answers are awaited.  A line on standard input begins new measurements, of the longest time in
 * which nobody was answered ("gaps_ms") and of the slowest answer ("slowest_ms").
 */
#include "ask.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define COMPLAINTS 20u
#define TICK       10 /* milliseconds between looks at who is to be woken */
#define GRACE      1000000 /* microseconds in which those who never read may still be closed */
#define NEVER      INT64_MAX

struct ask ask = { .prefix = "ask", .count = 1, .depth = 1, .value_bytes = 100, .patience = 20000000, .seed = 1,
	.stop = NEVER };

static const struct ask_mode *const modes[] = { &mode_own, &mode_incr, &mode_line, &mode_tell, &mode_feed };
static volatile sig_atomic_t told_to_stop;
static unsigned complaints;

static int64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t ask_random(void) /* xorshift64* */
{
	ask.seed ^= ask.seed >> 12;
	ask.seed ^= ask.seed << 25;
	ask.seed ^= ask.seed >> 27;
	return ask.seed * 0x2545f4914f6cdd1du >> 8;
}

void complain(const struct client *client, const char *format, ...)
{
	va_list arguments;

	ask.wrong++;
	if (complaints++ >= COMPLAINTS)
		return;
	fprintf(stderr, "ask: client %u, operation %" PRIu64 ": ", client->number, client->asked);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

static void print_counts(void)
{
	fputs(", \"counts\": [", stdout);
	for (unsigned number = 0; number < ask.count; number++) {
		const struct client *client = &ask.clients[number];

		printf("%s%" PRIu64, number > 0 ? ", " : "",
		    ask.mode == &mode_incr ? client->counter.low : ask.mode->asks ? client->asked : client->heard);
	}
	fputs("]", stdout);
}

static void report(void)
{
	printf("{\"mode\": \"%s\", \"operations\": %" PRIu64 ", \"right\": %" PRIu64 ", \"errors\": %" PRIu64
	    ", \"wrong\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"visits\": %" PRIu64 ", \"deaf_closed\": %" PRIu64
	    ", \"seconds\": %.3f", ask.mode->name, ask.asked, ask.right, ask.tolerated, ask.wrong, ask.lost,
	    ask.visits, ask.deaf_closed, (double)(ask.now - ask.begin) / 1e6);
	figures_print();
	print_counts();
	puts("}");
}

static void read_marks(void)
{
	char text[256];
	ssize_t got = read(STDIN_FILENO, text, sizeof(text));

	if (got <= 0)
		epoll_ctl(ask.epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	for (ssize_t i = 0; i < got; i++)
		if (text[i] == '\n')
			figures_mark();
}

static bool finished(void)
{
	if (told_to_stop && ask.now < ask.stop)
		ask.stop = ask.now;
	if (ask.busy == 0)
		return true;
	if (ask.busy == ask.deaf - ask.deaf_closed && ask.now - ask.progress > GRACE)
		ask.stop = ask.now;
	if (ask.now - ask.progress < (ask.wrong > 0 ? ask.patience / 10 : ask.patience))
		return false;
	fprintf(stderr, "ask: stuck: %u clients\n", ask.busy);
	clients_complain();
	return true;
}

static void run(void)
{
	struct epoll_event events[256];
	int64_t begin;
	int count;

	while (!finished()) {
		clients_again();
		count = epoll_wait(ask.epoll, events, 256, ask.rate > 0 || ask.unconnected > 0 ? 1 : TICK);
		begin = ask.now;
		ask.now = clock_now();
		figures_pass(ask.now - begin);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL)
				read_marks();
			else
				client_work(events[i].data.ptr, events[i].events);
		}
	}
}

static const struct option options[] = {
	{ "socket", 1, NULL, 'u' }, { "port", 1, NULL, 't' }, { "mode", 1, NULL, 'm' }, { "clients", 1, NULL, 'c' },
	{ "depth", 1, NULL, 'd' }, { "ops", 1, NULL, 'n' }, { "seconds", 1, NULL, 's' }, { "rate", 1, NULL, 'r' },
	{ "value-bytes", 1, NULL, 'b' }, { "seed", 1, NULL, 'x' }, { "prefix", 1, NULL, 'p' },
	{ "error", 1, NULL, 'e' }, { "mix", 1, NULL, 'k' }, { "visit", 1, NULL, 'v' }, { "leavers", 1, NULL, 'l' },
	{ "deaf", 1, NULL, 'D' }, { "patience", 1, NULL, 'P' }, { "ack", 1, NULL, 'a' }, { "again", 0, NULL, 'A' },
	{ "forgets", 0, NULL, 'F' }, { "lost-ok", 0, NULL, 'L' }, { "split", 0, NULL, 'S' },
	{ "half-close", 0, NULL, 'H' }, { NULL, 0, NULL, 0 }
};

static uint64_t ops;
static double seconds;

static void parse_mode(const char *name)
{
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i]->name, name) == 0)
			ask.mode = modes[i];
}

/* False: it needs a word, or there is none such. */
static bool parse_number(int option, const char *text)
{
	switch (option) {
	case 't': ask.port = atoi(text); break;
	case 'c': ask.count = (unsigned)atoi(text); break;
	case 'd': ask.depth = (unsigned)atoi(text); break;
	case 'n': ops = strtoull(text, NULL, 10); break;
	case 's': seconds = atof(text); break;
	case 'a': ask.ack = strtoull(text, NULL, 10); break;
	case 'r': ask.rate = strtoull(text, NULL, 10); break;
	case 'b': ask.value_bytes = strtoul(text, NULL, 10); break;
	case 'x': ask.seed = strtoull(text, NULL, 10) * 2 + 1; break;
	case 'v': ask.visit = strtoull(text, NULL, 10); break;
	case 'l': ask.leavers = (unsigned)atoi(text); break;
	case 'D': ask.deaf = (unsigned)atoi(text); break;
	case 'P': ask.patience = (int64_t)(atof(text) * 1e6); break;
	default: return false;
	}
	return true;
}

static bool parse_word(int option, const char *text)
{
	switch (option) {
	case 'u': ask.path = text; break;
	case 'm': parse_mode(text); break;
	case 'p': ask.prefix = text; break;
	case 'e': ask.error = text; break;
	case 'k': return mix_parse(text);
	case 'A': ask.again = true; break;
	case 'F': ask.forgets = true; break;
	case 'L': ask.lost_ok = true; break;
	case 'S': ask.split = true; break;
	case 'H': ask.half_close = true; break;
	default: return false;
	}
	return true;
}

static bool parse(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!parse_number(option, optarg) && !parse_word(option, optarg))
			return false;
	if (ask.mode == NULL || (ask.path == NULL && ask.port == 0) || optind != argc || ask.count == 0 ||
	    ask.depth == 0)
		return false;
	return (ops == 0 || ops >= ask.count || !ask.mode->asks) && ask.value_bytes <= 1u << 20 &&
	    ask.deaf + ask.leavers <= ask.count;
}

static void raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void on_signal(int number)
{
	(void)number;
	told_to_stop = 1;
}

static void begin(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	raise_file_limit();
	ask.epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(ask.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
	ask.now = ask.begin = ask.progress = clock_now();
	if (seconds > 0)
		ask.stop = ask.now + (int64_t)(seconds * 1e6);
	clients_begin();
	for (unsigned number = 0; number < ask.count; number++)
		ask.clients[number].limit = ask.mode->asks ? (ops + ask.count - 1 - number) / ask.count : ops;
}

int main(int argc, char **argv)
{
	mix_parse("set,get,mset,mget,lpush,lrange,echo");
	if (!parse(argc, argv)) {
		fputs("usage: ask --socket PATH|--port N --mode redis-own|redis-incr|line|tell|feed [OPTION...]\n",
		    stderr);
		return 2;
	}
	begin();
	run();
	report();
	return ask.wrong == 0 && (ask.lost == 0 || ask.lost_ok) ? 0 : 1;
}
