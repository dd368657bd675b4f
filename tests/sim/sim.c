/* sim - thousands of hosts against a service that fails and comes back: how often it is dialled, and how soon all are
 * connected again.
 *
 *   sim [--hosts N] [--bins]
 *
 * Each host is the daemon's own machines (pconn, endpoints, race), which are pure; time, chance and the network are
 * made here, so that the same comes out each time.  At 0 s all connections end, each within 10 ms, as when a server
 * is killed; dials are refused, or answered, within a millisecond, unless its machine is gone; at 60 s the server is
 * back.  A host needs one connection.  A line for each scenario; with --bins also its dials and hosts connected in
 * each 100 ms.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "upstream/pconn.h"
#include "upstream/race.h"

#define FAILS  (1000 * CLOCK_SECOND) /* no time is negative, and 0 means none in places */
#define BEGIN  (FAILS - 100 * CLOCK_SECOND) /* hosts connect within 50 s from here on */
#define BACK   (FAILS + 60 * CLOCK_SECOND)
#define END    (FAILS + 90 * CLOCK_SECOND)
#define BIN    (100 * CLOCK_MILLISECOND)
#define BINS   ((size_t)((END - FAILS) / BIN))
#define CONNECT (5 * CLOCK_SECOND) /* connect_timeout */
#define HOSTS  10000
#define PLACES 3

struct scenario {
	const char *name;
	double delay, jitter, hold_retry, spread;
	bool waits;        /* a client on each host */
	bool exact;        /* nothing is random */
	bool tells;        /* a catalog says at once that the service is back */
	bool silent;       /* the server's machine is gone: dials are not refused, but not answered */
	unsigned places, failing; /* endpoints; how many of them fail.  The first one comes back */
};

static const struct scenario scenarios[] = {
	/* name                  delay jitter hold  spread waits  exact  tells  silent places */
	{ "idle-default",        10,   0.3,   0.25, 1,     false, false, false, false, 1, 1 },
	{ "idle-no-jitter",      10,   0,     0.25, 1,     false, true,  false, false, 1, 1 },
	{ "idle-told",           10,   0.3,   0.25, 1,     false, false, true,  false, 1, 1 },
	{ "idle-told-no-spread", 10,   0.3,   0.25, 0,     false, false, true,  false, 1, 1 },
	{ "waits-default",       10,   0.3,   0.25, 1,     true,  false, false, false, 1, 1 },
	{ "waits-no-jitter",     10,   0,     0.25, 1,     true,  true,  false, false, 1, 1 },
	{ "waits-no-growth",     0.25, 0.3,   0,    1,     true,  false, false, false, 1, 1 },
	{ "waits-not-early",     10,   0.3,   0,    1,     true,  false, false, false, 1, 1 },
	{ "waits-told",          10,   0.3,   0.25, 1,     true,  false, true,  false, 1, 1 },
	{ "waits-silent",        10,   0.3,   0.25, 1,     true,  false, false, true,  1, 1 },
	{ "three-idle",          10,   0.3,   0.25, 1,     false, false, false, false, 3, 3 },
	{ "three-waits",         10,   0.3,   0.25, 1,     true,  false, false, false, 3, 3 },
	{ "three-one-fails",     10,   0.3,   0.25, 1,     false, false, false, false, 3, 1 },
};

enum kind { KIND_START, KIND_LOST, KIND_DEADLINE, KIND_ANSWER, KIND_TIMEOUT, KIND_DUE, KIND_BACKGROUND, KIND_TOLD };

struct item {
	int64_t at;
	uint64_t order;
	unsigned host;
	uint16_t number; /* of an endpoint */
	uint8_t kind;
};

struct host {
	struct pconn pconn;
	struct race race;
	struct endpoints endpoints;
	int64_t set;     /* the deadline that stands in the heap */
	int64_t due;     /* likewise, of a dial in the background */
	int64_t connected_at;
	uint16_t number; /* of the endpoint that it is connected to; 0 none */
	bool racing;
};

static struct {
	const struct scenario *scenario;
	struct pconn_settings settings;
	struct endpoints_settings places;
	struct host *hosts;
	unsigned host_count, connected;
	struct item *heap;
	size_t count, room;
	uint64_t order, chance;
	int64_t now;
	unsigned dials[BINS], there[BINS];
} sim;

/* splitmix64, the same everywhere. */
static uint32_t
chance(void)
{
	uint64_t z = sim.chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static int64_t
chance_within(int64_t span)
{
	return (int64_t)((uint64_t)chance() * (uint64_t)span >> 32);
}

static uint32_t
roll(void)
{
	uint32_t bits = chance();

	return sim.scenario->exact || bits == DELAY_EXACT ? DELAY_EXACT : bits;
}

static bool
item_is_before(const struct item *a, const struct item *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
put(int64_t at, unsigned host, enum kind kind, uint16_t number)
{
	struct item item = { .at = at, .order = sim.order++, .host = host, .number = number, .kind = (uint8_t)kind };
	size_t place = sim.count++;

	if (sim.count > sim.room) {
		sim.room = 2 * sim.count;
		sim.heap = mem_resize(sim.heap, sim.room, sizeof item);
	}
	for (; place > 0 && item_is_before(&item, &sim.heap[(place - 1) / 2]); place = (place - 1) / 2)
		sim.heap[place] = sim.heap[(place - 1) / 2];
	sim.heap[place] = item;
}

static struct item
take(void)
{
	struct item first = sim.heap[0], last = sim.heap[--sim.count];
	size_t place = 0, below;

	while ((below = 2 * place + 1) < sim.count) {
		if (below + 1 < sim.count && item_is_before(&sim.heap[below + 1], &sim.heap[below]))
			below++;
		if (!item_is_before(&sim.heap[below], &last))
			break;
		sim.heap[place] = sim.heap[below];
		place = below;
	}
	sim.heap[place] = last;
	return first;
}

/* Whether the endpoint takes connections now. */
static bool
is_up(const struct host *host, uint16_t number)
{
	struct address address;
	const struct endpoint *endpoint = endpoints_find(&host->endpoints, number);

	endpoint_address(endpoint, &address);
	return sim.now < FAILS || address.port > sim.scenario->failing || (address.port == 1 && sim.now >= BACK);
}

static void
count_dial(void)
{
	if (sim.now >= FAILS && sim.now < END)
		sim.dials[(sim.now - FAILS) / BIN]++;
}

static unsigned
tell_endpoint(struct host *host, enum endpoints_event event, uint16_t number)
{
	struct endpoints_input in = { .event = event, .number = number, .now = sim.now, .began = sim.now,
		.roll = roll(), .error = "Connection refused" };

	return endpoints_tell(&host->endpoints, &sim.places, &in);
}

static unsigned
tell_race(struct host *host, enum race_event event, uint16_t number)
{
	struct race_input in = { .event = event, .number = number, .now = sim.now, .roll = chance() };

	return race_step(&host->race, &host->endpoints, &sim.places, &in);
}

static unsigned
tell_pconn(struct host *host, enum pconn_event event, bool further)
{
	struct pconn_input in = { .event = event, .now = sim.now, .roll = roll(), .further = further,
		.held = sim.scenario->waits && host->number == 0 && sim.now >= FAILS, .ready = host->number != 0,
		.age = sim.now - host->connected_at, .same = host->pconn.failures > 0 };

	return pconn_step(&host->pconn, &sim.settings, &in);
}

static void act(struct host *host, unsigned todo);

/* The race's next endpoint is offered, or there was none. */
static void
offer(struct host *host)
{
	if (!host->racing) {
		host->racing = true;
		if ((tell_race(host, RACE_START, 0) & RACE_DO_DIAL) == 0) {
			host->racing = false;
			act(host, tell_pconn(host, PCONN_DIAL_FAILED, false));
			return;
		}
	}
	act(host, tell_pconn(host, PCONN_OFFERED, false));
}

/* Where nobody answers, the kernel's next SYN may find the server back; else connect_timeout ends the dial. */
static void
put_silent(unsigned host, uint16_t number, int64_t way)
{
	static const int64_t syns[] = { 1 * CLOCK_SECOND, 3 * CLOCK_SECOND };

	for (size_t i = 0; i < sizeof syns / sizeof syns[0]; i++)
		if (sim.now + syns[i] >= BACK) {
			put(sim.now + syns[i] + way, host, KIND_ANSWER, number);
			return;
		}
	put(sim.now + CONNECT, host, KIND_TIMEOUT, number);
}

static void
dial(struct host *host, enum kind kind, uint16_t number)
{
	unsigned index = (unsigned)(host - sim.hosts);
	int64_t way = 200 + chance_within(800);

	tell_endpoint(host, ENDPOINTS_BEGAN, number);
	count_dial();
	if (sim.scenario->silent && !is_up(host, number))
		put_silent(index, number, way);
	else
		put(sim.now + way, index, kind, number);
}

/* There are no handlers: they have ended at once. */
static void
act(struct host *host, unsigned todo)
{
	if (todo & PCONN_DO_HANDLE)
		act(host, tell_pconn(host, PCONN_HANDLED, false));
	if (todo & PCONN_DO_LOOKUP)
		act(host, tell_pconn(host, PCONN_LOOKED_UP, false));
	if (todo & PCONN_DO_DIAL)
		offer(host);
	if (todo & PCONN_DO_GO) {
		race_begun(&host->race, &sim.places, sim.now);
		dial(host, KIND_ANSWER, host->race.dial);
	}
}

static void
on_answer(struct host *host, uint16_t number, bool in_time)
{
	bool further;

	if (in_time && is_up(host, number)) {
		tell_endpoint(host, ENDPOINTS_CONNECTED, number);
		tell_race(host, RACE_CONNECTED, number);
		host->racing = false;
		host->number = number;
		host->connected_at = sim.now;
		sim.connected++;
		act(host, tell_pconn(host, PCONN_DIALED, false));
		return;
	}
	tell_endpoint(host, ENDPOINTS_FAILED, number);
	further = (tell_race(host, RACE_FAILED, number) & RACE_DO_DIAL) != 0;
	host->racing = further;
	act(host, tell_pconn(host, PCONN_DIAL_FAILED, further));
}

/* All connections to endpoints that fail. */
static void
on_lost(struct host *host)
{
	if (host->number == 0 || is_up(host, host->number))
		return;
	host->number = 0;
	sim.connected--;
	act(host, tell_pconn(host, PCONN_LOST, false));
}

/* P31: with a connection to another endpoint, one that has failed is dialled in the background. */
static void
on_due(struct host *host)
{
	uint16_t number;

	if (host->number != 0 && endpoints_due(&host->endpoints, &sim.places, &number) <= sim.now)
		dial(host, KIND_BACKGROUND, number);
}

static void
happen(const struct item *item)
{
	struct host *host = &sim.hosts[item->host];

	switch (item->kind) {
	case KIND_START: act(host, tell_pconn(host, PCONN_START, false)); break;
	case KIND_LOST: on_lost(host); break;
	case KIND_ANSWER: case KIND_TIMEOUT:
		on_answer(host, item->number, item->kind == KIND_ANSWER);
		break;
	case KIND_DUE: on_due(host); break;
	case KIND_TOLD: act(host, tell_pconn(host, PCONN_WAKE, false)); break;
	case KIND_BACKGROUND:
		tell_endpoint(host, is_up(host, item->number) ? ENDPOINTS_CONNECTED : ENDPOINTS_FAILED, item->number);
		break;
	default:
		if (item->at == host->pconn.deadline)
			act(host, tell_pconn(host, PCONN_DEADLINE, false));
	}
}

/* What the host waits for now. */
static void
wait_on(struct host *host)
{
	unsigned index = (unsigned)(host - sim.hosts);
	uint16_t number;
	int64_t due;

	if (host->pconn.deadline != CLOCK_NEVER && host->pconn.deadline != host->set)
		put(host->pconn.deadline, index, KIND_DEADLINE, 0);
	host->set = host->pconn.deadline;
	if (host->number == 0)
		return;
	due = endpoints_due(&host->endpoints, &sim.places, &number);
	if (due != CLOCK_NEVER && due != host->due)
		put(due, index, KIND_DUE, 0);
	host->due = due;
}

static void
begin(const struct scenario *scenario, unsigned hosts)
{
	struct delay_settings retry = { .delay = (int64_t)(scenario->delay * 1e6), .jitter = scenario->jitter,
		.factor = 1, .max = 60 * CLOCK_SECOND };
	struct endpoint_listed listed[PLACES] = { { .weight = 1 }, { .weight = 1 }, { .weight = 1 } };

	memset(&sim, 0, sizeof sim);
	sim.scenario = scenario;
	sim.settings = (struct pconn_settings){ .retry = retry, .spread = (int64_t)(scenario->spread * 1e6),
		.hold_retry = (int64_t)(scenario->hold_retry * 1e6), .warm = 1 };
	sim.places = (struct endpoints_settings){ .pick = ENDPOINTS_RANDOM, .stagger = 250 * CLOCK_MILLISECOND,
		.retry = retry };
	sim.host_count = hosts;
	sim.hosts = mem_new(hosts, sizeof *sim.hosts);
	for (unsigned place = 0; place < PLACES; place++)
		address_parse((const char *[]){ "10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3" }[place],
		    &listed[place].address);
	for (unsigned i = 0; i < hosts; i++) {
		endpoints_list(&sim.hosts[i].endpoints, listed, scenario->places, BEGIN);
		sim.hosts[i].set = sim.hosts[i].due = CLOCK_NEVER;
		put(BEGIN + chance_within(50 * CLOCK_SECOND), i, KIND_START, 0);
		put(FAILS + chance_within(10 * CLOCK_MILLISECOND), i, KIND_LOST, 0);
		if (scenario->tells)
			put(BACK + chance_within(10 * CLOCK_MILLISECOND), i, KIND_TOLD, 0);
	}
}

/* The most dials in 100 ms between two moments, in seconds. */
static unsigned
most(unsigned from, unsigned to)
{
	unsigned found = 0;

	for (size_t bin = 10 * from; bin < 10 * to; bin++)
		if (sim.dials[bin] > found)
			found = sim.dials[bin];
	return found;
}

static unsigned
sum(unsigned from, unsigned to)
{
	unsigned found = 0;

	for (size_t bin = 10 * from; bin < 10 * to; bin++)
		found += sim.dials[bin];
	return found;
}

/* How long after the server's return so many of a hundred hosts were connected, in seconds. */
static double
connected_after(unsigned share)
{
	size_t bin = (size_t)((BACK - FAILS) / BIN);

	while (bin < BINS && (uint64_t)sim.there[bin] * 100 < (uint64_t)sim.host_count * share)
		bin++;
	return (double)bin / 10 - 60 + 0.1;
}

static void
run(const struct scenario *scenario, unsigned hosts, bool bins)
{
	struct item item;
	size_t bin = 0;

	begin(scenario, hosts);
	while (sim.count > 0 && sim.heap[0].at < END) {
		item = take();
		for (; item.at >= FAILS + (int64_t)(bin + 1) * BIN; bin++)
			sim.there[bin] = sim.connected;
		if (item.at > sim.now) /* a deadline may be past when it is set */
			sim.now = item.at;
		happen(&item);
		wait_on(&sim.hosts[item.host]);
	}
	for (; bin < BINS; bin++)
		sim.there[bin] = sim.connected;
	/* dials of the first second, the most then, and until 10 s; dials a second from 10 s on, and from 50 s on;
	 * the most after the return; seconds until half, and all, are connected */
	printf("%s %u %u %u %u %u %u %.1f %.1f\n", scenario->name, sum(0, 1), most(0, 1), most(1, 10),
	    sum(10, 20) / 10, sum(50, 60) / 10, most(60, 90), connected_after(50), connected_after(100));
	for (bin = 0; bins && bin < BINS; bin++)
		printf("\t%zu %u %u\n", bin, sim.dials[bin], sim.there[bin]);
	mem_free(sim.hosts);
	mem_free(sim.heap);
}

int
main(int argc, char **argv)
{
	unsigned hosts = HOSTS;
	bool bins = false;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--hosts") == 0 && i + 1 < argc)
			hosts = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--bins") == 0)
			bins = true;
		else
			hosts = 0;
	if (hosts == 0 || hosts > 1000000) {
		fputs("usage: sim [--hosts N] [--bins]\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
		run(&scenarios[i], hosts, bins);
	return 0;
}
